"""Where a broker is and how it is spoken to, from its url."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

PORTS = {"mqtt": 1883, "mqtts": 8883, "wss": 443}
"""The port of each kind of address. Source: IANA's registry of ports."""

WEBSOCKET_PATH = "/mqtt"
"""Where brokers have their websocket unless told otherwise."""


class Endpoint(NamedTuple):
    """A broker's host and port, whether TLS is spoken there, and the path of its websocket ("": no websocket)."""

    host: str
    port: int
    tls: bool
    path: str = ""

    @property
    def url(self) -> str:
        """The whole address, as people know it."""
        return f"{'wss' if self.path else 'mqtts' if self.tls else 'mqtt'}://{self}{self.path}"

    @property
    def authority(self) -> str:
        """Host and port as HTTP wants them; UnicodeError (a ValueError) for a name that no host can have."""
        return host_and_port(self.host.encode("idna").decode(), self.port)

    def __str__(self) -> str:
        return host_and_port(self.host, self.port)


def endpoint(url: str) -> Endpoint:
    """The broker at `url`: mqtt://host[:1883], mqtts://host[:8883] or wss://host[:443][/mqtt]; else ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("a broker's url is mqtts://host:8883, wss://host/mqtt or mqtt://host:1883")
    path = (parts.path if len(parts.path) > 1 else WEBSOCKET_PATH) if parts.scheme == "wss" else ""
    return Endpoint(parts.hostname, parts.port or PORTS[parts.scheme], parts.scheme != "mqtt", path)


class Proxy(NamedTuple):
    """An HTTP proxy, and what it is told of us if it wants a login."""

    host: str
    port: int
    username: str = ""
    password: str = ""

    def __str__(self) -> str:
        return host_and_port(self.host, self.port)


def proxy_at(url: str) -> Proxy:
    """The proxy at `url`, http://host:port; ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or not parts.port:
        raise ValueError("a proxy is http://host:port")
    return Proxy(parts.hostname, parts.port)


def host_and_port(host: str, port: int) -> str:
    """As HTTP writes them: an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
