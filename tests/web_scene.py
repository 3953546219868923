"""What may stand between a gateway and its broker: an HTTP proxy, and a web server with a websocket, on loopback."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tls_scene import Pair

GRANTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
BINARY, TEXT, CLOSE, PING, PONG = 2, 1, 8, 9, 10


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that treats each connection as `serve` says, each on a thread of its own, and then closes it."""
    threads: list[threading.Thread] = []
    open_ones: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    one, _ = listener.accept()
                    one.settimeout(10)
                    open_ones.append(one)
                    threads.append(threading.Thread(target=attend, args=(one,)))
                    threads[-1].start()

        def attend(one: socket.socket) -> None:
            with one, suppress(OSError):
                serve(one)

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join(5)
            for one in open_ones:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(5)
                assert not thread.is_alive()


def behind_tls(serve: Callable[[socket.socket], None], pair: Pair) -> Callable[[socket.socket], None]:
    """The same, with TLS around it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)

    def secured(one: socket.socket) -> None:
        with context.wrap_socket(one, server_side=True) as inner:
            serve(inner)

    return secured


def head_of(one: socket.socket) -> tuple[str, dict[str, str]]:
    """The first line of a request or reply, and its headers by their names in small letters."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = one.recv(1)
        if not more:
            raise ConnectionResetError
        data += more
    first, *lines = data.decode().split("\r\n")
    return first, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)


def bridge(near: socket.socket, far: socket.socket) -> None:
    """Carry bytes both ways until one end closes."""

    def back() -> None:
        pump(far, near)
        with suppress(OSError):
            near.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=back)
    thread.start()
    pump(near, far)
    with suppress(OSError):
        far.shutdown(socket.SHUT_RDWR)
    thread.join(5)


# ---------------------------------------------------------------- an HTTP proxy


@dataclass
class HttpProxy:
    """A proxy that knows CONNECT; `names`: what only it can resolve, with the port on loopback that is meant."""

    login: str = ""  # user:password
    names: dict[str, int] = field(default_factory=dict)
    allowed: frozenset[int] | None = None
    asked: list[str] = field(default_factory=list)

    def serve(self, one: socket.socket) -> None:
        first, headers = head_of(one)
        method, target, _ = first.split(" ")
        self.asked.append(target)
        host, _, port = target.rpartition(":")
        wanted = f"Basic {base64.b64encode(self.login.encode()).decode()}"
        if method != "CONNECT":
            one.sendall(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
        elif self.login and headers.get("proxy-authorization") != wanted:
            one.sendall(b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="site"\r\n\r\n')
        elif self.allowed is not None and int(port) not in self.allowed:
            one.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        else:
            self._connect(one, self.names.get(host, int(port)))

    def _connect(self, one: socket.socket, port: int) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", port), 5)
        except OSError:
            one.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return
        with far:
            one.sendall(b"HTTP/1.1 200 Connection established\r\n")  # in two pieces, as some do
            one.sendall(b"Via: 1.1 site\r\n\r\n")
            bridge(one, far)


@contextmanager
def http_proxy(**settings: object) -> Iterator[tuple[HttpProxy, int]]:
    proxy = HttpProxy(**settings)  # type: ignore[arg-type]
    with server(proxy.serve) as port:
        yield proxy, port


# ---------------------------------------------------------------- a websocket


def grant(one: socket.socket) -> str:
    """Grant a request for a websocket; returns its path."""
    first, headers = head_of(one)
    assert headers["sec-websocket-protocol"] == "mqtt"
    assert headers["sec-websocket-version"] == "13"
    key = headers["sec-websocket-key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    proof = base64.b64encode(hashlib.sha1(key).digest())
    one.sendall(GRANTED + b"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: " + proof + b"\r\n\r\n")
    return first.split(" ")[1]


def frame(payload: bytes, opcode: int = BINARY, *, fin: bool = True) -> bytes:
    """A frame as a server sends it."""
    first = (0x80 if fin else 0) | opcode
    if len(payload) < 126:
        return bytes((first, len(payload))) + payload
    if len(payload) < 65_536:
        return struct.pack("!BBH", first, 126, len(payload)) + payload
    return struct.pack("!BBQ", first, 127, len(payload)) + payload


def exactly(one: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = one.recv(count - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return data


def client_frame(one: socket.socket) -> tuple[int, bytes]:
    """The next frame of a client, which has to be whole and masked: opcode and payload."""
    first, second = exactly(one, 2)
    assert first & 0x80
    assert second & 0x80, "a client's frame is masked"
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack("!H", exactly(one, 2))
    elif length == 127:
        (length,) = struct.unpack("!Q", exactly(one, 8))
    mask = exactly(one, 4)
    payload = exactly(one, length)
    return first & 0x0F, bytes(byte ^ mask[number % 4] for number, byte in enumerate(payload))


@dataclass
class WebFront:
    """A web server with a websocket before the plain broker at `port`."""

    port: int
    paths: list[str] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)

    def serve(self, one: socket.socket) -> None:
        self.paths.append(grant(one))
        with socket.create_connection(("127.0.0.1", self.port), 5) as far:
            back = threading.Thread(target=self._back, args=(far, one))
            back.start()
            with suppress(OSError):
                while True:
                    opcode, payload = client_frame(one)
                    if opcode == PONG:
                        self.pongs.append(payload)
                    else:
                        far.sendall(payload)
            with suppress(OSError):
                far.shutdown(socket.SHUT_RDWR)
            back.join(5)

    def _back(self, far: socket.socket, one: socket.socket) -> None:
        """Each piece as three frames with a ping between them: nobody promises a packet a frame."""
        with suppress(OSError):
            while data := far.recv(4096):
                third = len(data) // 3
                one.sendall(frame(data[:third], fin=False) + frame(b"alive?", PING))
                one.sendall(frame(data[third : 2 * third], 0, fin=False) + frame(data[2 * third :], 0))
            one.shutdown(socket.SHUT_RDWR)


@contextmanager
def web_front(port: int) -> Iterator[tuple[WebFront, int]]:
    front = WebFront(port)
    with server(front.serve) as own:
        yield front, own
