"""The typed tree of the configuration: every option, its unit, its default and what it is for.

Written as YAML (load.py). Durations are in seconds here and written with a unit (`10s`, `200ms`, `10m`, `2h`, `7d`);
sizes are in bytes here and written with a unit (`64kB`, `500MB`, `2GB`).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from gateway.driver import Driver
from gateway.model import Priority

_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$")
_SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*(kB|MB|GB)$")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}


def seconds(written: object) -> float:
    """The duration `written` as "10s", "200ms", "10m", "2h" or "7d", in seconds; else ValueError with what is right."""
    match = _DURATION.match(written) if isinstance(written, str) else None
    if match is None:
        raise ValueError(f"a duration needs a number and a unit, as in 200ms, 10s, 5m, 2h or 7d, not {written!r}")
    return float(match[1]) * _SECONDS[match[2]]


def size_bytes(written: object) -> int:
    """The size `written` as "64kB", "500MB" or "2GB", in bytes; ValueError with what would be right."""
    match = _SIZE.match(written) if isinstance(written, str) else None
    if match is None:
        raise ValueError(f"a size needs a number and a unit, as in 64kB, 500MB or 2GB, not {written!r}")
    return int(float(match[1]) * _BYTES[match[2]])


Duration: TypeAlias = Annotated[float, BeforeValidator(seconds)]
Size: TypeAlias = Annotated[int, BeforeValidator(size_bytes)]
Id: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
ZonePath: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}(/[a-z0-9][a-z0-9_-]{0,63})*$")
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Site(_Part):
    """The place this gateway watches."""

    id: Id
    name: str = ""
    timezone: str = "UTC"


class GatewayPart(_Part):
    """This gateway."""

    id: Id


class Storage(_Part):
    """The journal on disk."""

    commit_every: Annotated[Duration, Field(ge=0.05, le=60)] = 1.0
    max_size: Annotated[Size, Field(ge=1_000_000)] = 1_000_000_000
    keep_acknowledged: Annotated[Duration, Field(ge=0)] = 7 * 86400.0


class Uplink(_Part):
    """One MQTT connection to a platform."""

    enabled: bool = True
    url: str  # mqtt://host:1883 or mqtts://host:8883
    client_id: str = ""  # default: <site>-<gateway>
    username: str = ""
    password_file: str = ""  # a file of mode 0600, relative to the configuration or to systemd's credentials folder
    ca_file: str = ""  # default: the system's store
    cert_file: str = ""
    key_file: str = ""
    keepalive: Annotated[Duration, Field(ge=5, le=3600)] = 30.0
    window: Annotated[int, Field(ge=1, le=1000)] = 20
    linger: Annotated[Duration, Field(ge=0, le=60)] = 0.2
    backlog_rate: Annotated[int, Field(ge=1, le=100_000)] = 5000  # records a second
    commands: tuple[Literal["acknowledge", "reset"], ...] = ()  # what this platform may ask of the gateway


class SerialLink(_Part):
    """A serial port: one RS-485 bus, or one device that talks by itself."""

    type: Literal["serial"]
    enabled: bool = True
    port: str
    baudrate: Annotated[int, Field(ge=300, le=4_000_000)] = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stopbits: Literal[1, 2] = 1
    timeout: Annotated[Duration, Field(ge=0.01, le=10)] | None = None  # default: 300 ms + twice the time on the wire
    guard: Annotated[Duration, Field(ge=0, le=1)] = 0.0  # silence before a request, beyond 3.5 characters
    echo: bool = False  # the adapter hears what it sends


class TcpLink(_Part):
    """A TCP peer: a Modbus TCP device or gateway, or a serial server."""

    type: Literal["tcp"]
    enabled: bool = True
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 502
    framing: Literal["tcp", "rtu"] = "tcp"  # rtu: a serial server that passes RTU frames through
    timeout: Annotated[Duration, Field(ge=0.01, le=30)] = 1.0


class GpioLink(_Part):
    """The GPIO header of the Raspberry Pi, or a simulated one."""

    type: Literal["gpio"]
    enabled: bool = True
    factory: Literal["auto", "mock"] = "auto"


class ReplayLink(_Part):
    """A recorded exchange (tests/drivers/*.capture) in place of a wire."""

    type: Literal["replay"]
    enabled: bool = True
    capture: str
    loop: bool = False


Link: TypeAlias = Annotated[SerialLink | TcpLink | GpioLink | ReplayLink, Field(discriminator="type")]


class Device(BaseModel):
    """One sensor or actuator. The remaining keys are the options of its driver, already built into `built`."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    driver: Id
    link: Id
    name: str
    zone: str
    every: float  # seconds between polls; for a device that talks by itself, how often it is expected to
    built: Driver


class Rule(_Part):
    """A condition on one point (`point: device.point`), or on all points of a kind (`kind`, and `zone` if not all)."""

    enabled: bool = True
    point: str | None = None
    kind: str | None = None
    zone: ZonePath | None = None
    above: float | None = None
    below: float | None = None
    outside: tuple[float, float] | None = None
    equals: bool | int | float | str | None = None
    silent_for: Duration | None = None
    clear_below: float | None = None  # with above, outside: where the alarm ends
    clear_above: float | None = None  # with below, outside
    for_: Annotated[Duration, Field(alias="for", ge=0)] = 0.0  # on-delay
    clear_for: Annotated[Duration, Field(ge=0)] = 0.0  # off-delay
    priority: Priority = Priority.MEDIUM
    latch: bool = False
    response: Id | None = None
    text: str = ""


class Response(_Part):
    """What happens on the spot while an alarm stands."""

    set: dict[str, Literal["on", "off"]] = Field(default_factory=dict)  # output device -> on/off
    say: str = ""


class Config(BaseModel):
    """One gateway's whole configuration, checked; disabled parts are left out. `hash` names these very contents."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    site: Site
    gateway: GatewayPart
    storage: Storage
    uplinks: dict[str, Uplink]
    links: dict[str, Link]
    devices: dict[str, Device]
    rules: dict[str, Rule]
    responses: dict[str, Response]
    hash: str
    folder: str  # of the configuration file: relative file names are below it
