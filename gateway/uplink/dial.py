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
from contextlib import suppress
from typing import TypeAlias

from gateway.uplink import faults, webfaults
from gateway.uplink.address import Endpoint, Proxy
from gateway.uplink.faults import DialError, Fault
from gateway.uplink.httphead import read_head
from gateway.uplink.websocket import WebSocket, upgraded

CONNECT_S = 5.0
"""Seconds for a TCP connection to each of a name's addresses, and for the TLS handshake."""

REPLY_S = 10.0
"""Seconds for a proxy, which has to connect itself, and for a web server."""

CALLED_OFF = Fault("the attempt was called off", "")

Stream: TypeAlias = socket.socket | WebSocket


class Dial:
    """One attempt to reach `where`. `call_off` may be called from another thread; only a name's lookup goes on then."""

    def __init__(self, where: Endpoint, context: ssl.SSLContext | None, proxy: Proxy | None) -> None:
        self._where = where
        self._context = context
        self._proxy = proxy
        self._socket: socket.socket | None = None
        self._called_off = False

    def stream(self) -> Stream:
        """A stream to the broker that MQTT can begin on; DialError if there is none, ValueError for an odd name."""
        try:
            sock = self._reached()
            if self._proxy is not None:
                self._pass_through(sock, self._proxy)
            made = self._secured(sock)
            self._go_on()
        except BaseException as error:  # whatever it was goes on; but no socket may be left open
            if self._socket is not None:
                self._socket.close()
            if self._called_off and isinstance(error, OSError):
                raise DialError(CALLED_OFF) from error
            raise
        self._socket = None  # the caller's from now on
        return made

    def call_off(self) -> None:
        """End it."""
        self._called_off = True
        sock = self._socket
        if sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # a TLS socket's own would break into its handshake

    def _held(self, sock: socket.socket) -> socket.socket:
        """This one is what a `call_off` ends from now on."""
        self._socket = sock
        self._go_on()
        return sock

    def _go_on(self) -> None:
        if self._called_off:
            raise DialError(CALLED_OFF)

    def _reached(self) -> socket.socket:
        """Connect to the proxy, or straight to the broker: to the first of its addresses that answers."""
        host, port = (self._proxy or self._where)[:2]
        refused = OSError("no address")
        try:
            for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                try:
                    sock = socket.socket(family, kind, protocol)
                except OSError as error:  # a kernel without IPv6, say
                    refused = error
                    continue
                self._held(sock).settimeout(CONNECT_S)
                try:
                    sock.connect(address)
                except OSError as error:
                    refused = error
                    sock.close()
                else:
                    return sock
            raise refused
        except DialError:
            raise
        except OSError as error:
            if self._proxy is not None:
                raise DialError(webfaults.proxy_unreachable(error, self._proxy)) from error
            raise DialError(faults.connecting(error, self._where)) from error

    def _pass_through(self, sock: socket.socket, proxy: Proxy) -> None:
        """Ask the proxy for a way to the broker. Source: RFC 9110, 9.3.6."""
        where = self._where
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

    def _secured(self, sock: socket.socket) -> Stream:
        """TLS, and the websocket in it, as the broker asks for them; the verification is the context's."""
        where = self._where
        try:
            if self._context is not None:
                secure = self._context.wrap_socket(sock, server_hostname=where.host, do_handshake_on_connect=False)
                sock = self._held(secure)
                secure.settimeout(CONNECT_S)
                secure.do_handshake()
            return upgraded(sock, where, time.monotonic() + REPLY_S) if where.path else sock
        except DialError:
            raise
        except OSError as error:
            raise DialError(faults.connecting(error, where)) from error
