"""What a proxy or a web server before the broker answered instead of passing us on, in words."""

from __future__ import annotations

import socket

from gateway.uplink.address import Endpoint, Proxy
from gateway.uplink.faults import Fault, refusal

OK_FROM, OK_BELOW = 200, 300
SWITCHING = 101
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, NOT_ALLOWED, PROXY_LOGIN = 401, 403, 404, 405, 407
"""Statuses of HTTP. Source: RFC 9110, 15."""

_NO_BACKEND = {
    502: "has no answer from what is behind it",
    503: "says that what is behind it is not available",
    504: "waited in vain for what is behind it",
}
_PATH = "Check the path at the end of url; /mqtt is the usual one"


def no_websocket(where: Endpoint, status: int) -> Fault:
    """The answer to our request for a websocket was this status, or a grant that is none."""
    path = f"{where}{where.path}"
    if status in _NO_BACKEND:
        return Fault(f"{path} {_NO_BACKEND[status]} (HTTP {status})", "Is the broker behind that web server running?")
    if status == NOT_FOUND:
        return refusal(f"{where} has nothing at {where.path} (HTTP 404)", _PATH)
    if status in {UNAUTHORIZED, FORBIDDEN}:
        return refusal(f"{path} does not let us in (HTTP {status})", "Ask whoever runs that web server")
    if 300 <= status < 400:
        return refusal(f"{path} sends us elsewhere (HTTP {status})", "Write the address that it sends to into url")
    if status == SWITCHING:
        return refusal(f"{path} speaks a websocket, but not for MQTT", _PATH)
    return refusal(f"{path} is a web page and no websocket (HTTP {status})", _PATH)


def not_http(where: Endpoint) -> Fault:
    """The answer to our request for a websocket is no HTTP."""
    told = "If this is the broker's own TLS port, write mqtts://; wss:// is for its websocket"
    return refusal(f"{where} does not answer as a web server does", told)


def broken_frames(where: Endpoint) -> Fault:
    """The websocket carried what no websocket may."""
    return refusal(f"{where} sent something that is no websocket", "Look at what stands between gateway and broker")


def proxy_unreachable(error: OSError, proxy: Proxy) -> Fault:
    """Why there is no connection to the proxy."""
    hint = "Check proxy, and whether it runs"
    match error:
        case socket.gaierror():
            return Fault(f"the proxy's host name {proxy.host} cannot be resolved", "Check proxy, and the DNS server")
        case ConnectionRefusedError():
            return Fault(f"the proxy {proxy} refuses connections", hint)
        case TimeoutError():
            return Fault(f"the proxy {proxy} does not answer", hint)
        case ConnectionResetError() | BrokenPipeError():
            return Fault(f"the proxy {proxy} closed the connection instead of answering", hint)
    return Fault(f"the proxy {proxy} cannot be reached: {error.strerror or error}", hint)


def proxy_refused(proxy: Proxy, where: Endpoint, status: int) -> Fault:
    """The proxy answered our CONNECT with this status."""
    if status == PROXY_LOGIN and proxy.username:
        return refusal(
            f"the proxy {proxy} refuses user name or password (HTTP 407)",
            "Check proxy_username and proxy_password_file; of the ways to log in, only Basic is known here",
        )
    if status == PROXY_LOGIN:
        return refusal(f"the proxy {proxy} wants a login (HTTP 407)", "Set proxy_username and proxy_password_file")
    if status in _NO_BACKEND:
        return Fault(
            f"the proxy {proxy} does not reach {where} (HTTP {status})", "Check url, and what the proxy can reach"
        )
    if status in {FORBIDDEN, NOT_ALLOWED}:
        return refusal(
            f"the proxy {proxy} does not let us through to {where} (HTTP {status})",
            "Have host and port allowed there; many proxies allow port 443 alone, which wss:// uses",
        )
    return refusal(f"the proxy {proxy} did not connect us to {where} (HTTP {status})", "Look at the proxy's log")


def no_proxy(proxy: Proxy) -> Fault:
    """What answers at the proxy's address is no HTTP proxy."""
    return refusal(f"{proxy} does not answer as an HTTP proxy does", "Check proxy: host, port, and that it is no SOCKS")
