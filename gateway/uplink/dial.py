"""The way to a broker: TCP, through a proxy if there is one, TLS, websocket. Not one byte of MQTT before it stands.

paho's own ways are not used. With PySocks, which it takes for proxies, a reply whose head comes in two pieces leaves
its rest to be taken for the broker's first bytes, a line of the reply may be of any length, and each of its bytes may
take the whole time-out; and with PySocks installed paho obeys an environment variable that nobody configured.
Names are resolved by the proxy where there is one: behind it there may be no DNS.
"""

from __future__ import annotations

import base64
import socket
import ssl
import time
from typing import TypeAlias

from gateway.uplink import faults, webfaults
from gateway.uplink.address import Endpoint, Proxy
from gateway.uplink.faults import DialError
from gateway.uplink.httphead import read_head
from gateway.uplink.websocket import WebSocket, upgraded

CONNECT_S = 5.0
"""Seconds for a TCP connection to each of a name's addresses, and for the TLS handshake."""

REPLY_S = 10.0
"""Seconds for a proxy, which has to connect itself, and for a web server."""

Stream: TypeAlias = socket.socket | WebSocket


def dial(where: Endpoint, context: ssl.SSLContext | None, proxy: Proxy | None) -> Stream:
    """A stream to the broker that MQTT can begin on; DialError if there is none, ValueError for an impossible name."""
    sock = _reached(where, proxy)
    try:
        if proxy is not None:
            _pass_through(sock, proxy, where)
        return _secured(sock, where, context)
    except BaseException:
        sock.close()
        raise


def _reached(where: Endpoint, proxy: Proxy | None) -> socket.socket:
    try:
        return socket.create_connection((proxy or where)[:2], CONNECT_S)
    except OSError as error:
        told = faults.connecting(error, where) if proxy is None else webfaults.proxy_unreachable(error, proxy)
        raise DialError(told) from error


def _pass_through(sock: socket.socket, proxy: Proxy, where: Endpoint) -> None:
    """Ask the proxy for a way to `where`. Source: RFC 9110, 9.3.6."""
    request = f"CONNECT {where.authority} HTTP/1.1\r\nHost: {where.authority}\r\n"
    if proxy.username:
        login = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
        request += f"Proxy-Authorization: Basic {login}\r\n"
    try:
        sock.sendall(f"{request}\r\n".encode())
        head = read_head(sock, time.monotonic() + REPLY_S)
    except ValueError as error:
        raise DialError(webfaults.no_proxy(proxy)) from error
    except OSError as error:
        raise DialError(webfaults.proxy_unreachable(error, proxy)) from error
    if not webfaults.OK_FROM <= head.status < webfaults.OK_BELOW:
        raise DialError(webfaults.proxy_refused(proxy, where, head.status))
    if head.rest:  # no broker speaks first
        raise DialError(webfaults.no_proxy(proxy))


def _secured(sock: socket.socket, where: Endpoint, context: ssl.SSLContext | None) -> Stream:
    """TLS on `sock`, and the websocket in it, as `where` asks for them; the verification is the context's."""
    try:
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname=where.host, do_handshake_on_connect=False)
            sock.settimeout(CONNECT_S)
            sock.do_handshake()
        return upgraded(sock, where, time.monotonic() + REPLY_S) if where.path else sock
    except DialError:
        sock.close()
        raise
    except OSError as error:
        sock.close()
        raise DialError(faults.connecting(error, where)) from error
