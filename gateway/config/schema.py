"""The typed tree of the configuration: every option, its unit, its default and what it is for.

Written as YAML (load.py), checked as JSON: strictly, where a list gives a tuple and a word an enum. Durations are in
seconds here and written with a unit (`10s`, `200ms`, `10m`, `2h`, `7d`); sizes are in bytes here and written with a
unit (`64kB`, `500MB`, `2GB`).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.driver import Driver
from gateway.model import Priority

ID_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
ZONE_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}(/[a-z0-9][a-z0-9_-]{0,63}){0,7}$"
DURATION_PATTERN = r"^([0-9]{1,9}(?:\.[0-9]{1,9})?)\s?(ms|s|m|h|d)$"
SIZE_PATTERN = r"^([0-9]{1,9}(?:\.[0-9]{1,9})?)\s?(kB|MB|GB)$"
DURATION_HINT = "a duration needs a number and a unit, as in 200ms, 10s, 5m, 2h or 7d"
SIZE_HINT = "a size needs a number and a unit, as in 64kB, 500MB or 2GB"
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_BYTES = {"GB": 1_000_000_000, "MB": 1_000_000, "kB": 1_000}


def is_id(text: str) -> bool:
    """Whether `text` can name a part."""
    return re.fullmatch(ID_PATTERN, text) is not None


def seconds(written: object) -> float:
    """The duration `written` as "10s", "200ms", "10m", "2h" or "7d", in seconds; else ValueError with what is right."""
    match = re.fullmatch(DURATION_PATTERN, written) if isinstance(written, str) else None
    if match is None:
        raise PydanticCustomError("duration", DURATION_HINT)
    return float(match[1]) * _SECONDS[match[2]]


def size_bytes(written: object) -> int:
    """The size `written` as "64kB", "500MB" or "2GB", in bytes; ValueError with what would be right."""
    match = re.fullmatch(SIZE_PATTERN, written) if isinstance(written, str) else None
    if match is None:
        raise PydanticCustomError("size", SIZE_HINT)
    return int(float(match[1]) * _BYTES[match[2]])


def duration_text(seconds_: float) -> str:
    """The duration as it is written, in the largest unit that leaves a whole number: 600.0 is "10m"."""
    for unit, factor in _SECONDS.items():
        count = round(seconds_ / factor, 6)
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    return f"{seconds_:g}s"


def size_text(size: int) -> str:
    """The size as it is written: 1_000_000_000 is "1GB"."""
    unit, factor = next(((unit, factor) for unit, factor in _BYTES.items() if size >= factor), ("kB", 1_000))
    return f"{size / factor:g}{unit}"


Duration: TypeAlias = Annotated[
    float, BeforeValidator(seconds), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})
]
Size: TypeAlias = Annotated[
    int, BeforeValidator(size_bytes), WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN})
]
Id: TypeAlias = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
ZonePath: TypeAlias = Annotated[str, StringConstraints(pattern=ZONE_PATTERN)]
Text: TypeAlias = Annotated[str, StringConstraints(max_length=500)]
Filled: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=500)]

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_by_name=True)
"""How every part is checked, options and profiles included: unknown keys refused, no value taken for another type's."""


class _Part(BaseModel):
    model_config = STRICT


class Site(_Part):
    """The place this gateway watches."""

    id: Annotated[Id, Field(description="The site's name in topics, the same for all its gateways")]
    name: Annotated[Text, Field(description="The site's name for people")] = ""
    timezone: Annotated[Text, Field(description="For people's eyes only, as in Asia/Shanghai; records are in UTC")] = (
        "UTC"
    )


class GatewayPart(_Part):
    """This gateway."""

    id: Annotated[Id, Field(description="This gateway's name in topics, unique at its site")]


class Storage(_Part):
    """The journal on disk."""

    commit_every: Annotated[
        Duration, Field(ge=0.05, le=60, description="The most telemetry that a power cut may lose; events never wait")
    ] = 1.0
    max_size: Annotated[Size, Field(ge=1_000_000, description="The most that the journal takes of the disk")] = (
        1_000_000_000
    )
    keep_acknowledged: Annotated[
        Duration, Field(ge=0, description="How long records are kept after every uplink has them")
    ] = 7 * 86400.0


class Uplink(_Part):
    """One MQTT connection to a platform."""

    enabled: Annotated[bool, Field(description="false: checked, but not used")] = True
    url: Annotated[Filled, Field(description="mqtts://host:8883, or mqtt://host:1883 without encryption")]
    client_id: Annotated[Text, Field(description="Default: <site>-<gateway>")] = ""
    username: Text = ""
    password_file: Annotated[
        Text, Field(description="A file of mode 0600 beside the configuration, or a systemd credential")
    ] = ""
    ca_file: Annotated[Text, Field(description="Who signs the broker's certificate; default: the system's store")] = ""
    cert_file: Annotated[Text, Field(description="This gateway's own certificate, if the broker asks for one")] = ""
    key_file: Annotated[Text, Field(description="The key of cert_file, mode 0600")] = ""
    keepalive: Annotated[Duration, Field(ge=5, le=3600, description="A silence of this length is asked about")] = 30.0
    window: Annotated[int, Field(ge=1, le=1000, description="Messages that may wait for their acknowledgement")] = 20
    linger: Annotated[
        Duration, Field(ge=0, le=60, description="How long telemetry waits for more to be sent with it; events never")
    ] = 0.2
    backlog_rate: Annotated[
        int, Field(ge=1, le=100_000, description="Stored records a second, after an outage, beside the live ones")
    ] = 5000
    commands: Annotated[
        tuple[Literal["acknowledge", "reset"], ...], Field(description="What this platform may ask of the gateway")
    ] = ()


class SerialLink(_Part):
    """A serial port: one RS-485 bus, or one device that talks by itself."""

    type: Literal["serial"]
    enabled: Annotated[bool, Field(description="false: checked, but not used, nor its devices")] = True
    port: Annotated[Filled, Field(description="The device file; /dev/serial/by-id/... stays the same")]
    baudrate: Annotated[int, Field(ge=300, le=4_000_000)] = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stopbits: Literal[1, 2] = 1
    timeout: Annotated[
        Annotated[Duration, Field(ge=0.01, le=10)] | None,
        Field(description="For an answer; default: 300 ms and twice the time on the wire"),
    ] = None
    guard: Annotated[
        Duration, Field(ge=0, le=1, description="Silence before a request, beyond 3.5 characters, for slow devices")
    ] = 0.0
    echo: Annotated[bool, Field(description="true: the adapter hears what it sends")] = False


class TcpLink(_Part):
    """A TCP peer: a Modbus TCP device or gateway, or a serial server."""

    type: Literal["tcp"]
    enabled: Annotated[bool, Field(description="false: checked, but not used, nor its devices")] = True
    host: Annotated[Filled, Field(description="Name or address")]
    port: Annotated[int, Field(ge=1, le=65535)] = 502
    framing: Annotated[
        Literal["tcp", "rtu"], Field(description="rtu: a serial server that passes RTU frames through")
    ] = "tcp"
    timeout: Annotated[Duration, Field(ge=0.01, le=30, description="For a connection and for an answer")] = 1.0


class GpioLink(_Part):
    """The GPIO header of the Raspberry Pi, or a simulated one."""

    type: Literal["gpio"]
    enabled: Annotated[bool, Field(description="false: checked, but not used, nor its devices")] = True
    factory: Annotated[Literal["auto", "mock"], Field(description="mock: simulated pins, for trying things out")] = (
        "auto"
    )


class ReplayLink(_Part):
    """A recorded exchange (tests/drivers/*.capture) in place of a wire."""

    type: Literal["replay"]
    enabled: Annotated[bool, Field(description="false: checked, but not used, nor its devices")] = True
    capture: Annotated[Filled, Field(description="The recording's file")]
    loop: Annotated[bool, Field(description="true: begin again at its end")] = False


Link: TypeAlias = Annotated[SerialLink | TcpLink | GpioLink | ReplayLink, Field(discriminator="type")]


class DeviceKeys(_Part):
    """The keys that every device has; the remaining ones are the options of its driver."""

    enabled: Annotated[bool, Field(description="false: checked, but not used, nor the rules on it")] = True
    driver: Annotated[Id, Field(description="What kind of device it is")]
    link: Annotated[Id, Field(description="The link that it is connected to")]
    zone: Annotated[ZonePath, Field(description="Where it is, as in cold-store/room-1")]
    name: Annotated[Text, Field(description="Its name for people; default: its id")] = ""
    every: Annotated[
        Annotated[Duration, Field(gt=0, le=86400)] | None,
        Field(description="Time between polls; of a device that talks by itself: how often it is expected to"),
    ] = None


class Device(BaseModel):
    """One sensor or actuator, its driver already `built` from its options."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    driver: Id
    link: Id
    name: str
    zone: str
    every: float  # seconds between polls; for a device that talks by itself, how often it is expected to
    built: Driver


class Rule(_Part):
    """A condition on one point (`point: device.point`), or on all points of a kind (`kind`, and `zone` if not all)."""

    enabled: Annotated[bool, Field(description="false: checked, but not used")] = True
    point: Annotated[Text | None, Field(description="The one point that it is about: device.point")] = None
    kind: Annotated[Text | None, Field(description="The kind of points that it is about, as in smoke")] = None
    zone: Annotated[ZonePath | None, Field(description="With kind: only points in this zone and the zones in it")] = (
        None
    )
    above: Annotated[float | None, Field(description="Alarm while the value is greater")] = None
    below: Annotated[float | None, Field(description="Alarm while the value is less")] = None
    outside: Annotated[tuple[float, float] | None, Field(description="Alarm below the first or above the second")] = (
        None
    )
    equals: Annotated[
        bool | int | float | str | None, Field(description="Alarm while the value is this, as in open or alarm")
    ] = None
    silent_for: Annotated[
        Annotated[Duration, Field(gt=0)] | None, Field(description="Alarm when no good value came for so long")
    ] = None
    clear_below: Annotated[
        float | None, Field(description="With above or outside: the alarm ends at this value, not before")
    ] = None
    clear_above: Annotated[
        float | None, Field(description="With below or outside: the alarm ends at this value, not before")
    ] = None
    for_: Annotated[
        Duration, Field(alias="for", ge=0, description="How long the condition must hold before the alarm (on-delay)")
    ] = 0.0
    clear_for: Annotated[
        Duration, Field(ge=0, description="How long it must have ended before the alarm does (off-delay)")
    ] = 0.0
    priority: Annotated[Priority, Field(description="The risk: high, medium or low")] = Priority.MEDIUM
    latch: Annotated[bool, Field(description="true: stands until a person resets it")] = False
    response: Annotated[Id | None, Field(description="What to do on the spot, an id of responses")] = None
    text: Annotated[Text, Field(description="What is wrong, for people; default: the condition in words")] = ""


class Response(_Part):
    """What happens on the spot while an alarm stands."""

    set: Annotated[
        dict[str, Literal["on", "off"]], Field(description="Outputs to switch: device: on or device: off")
    ] = Field(default_factory=dict)
    say: Annotated[Text, Field(description="What people should do")] = ""


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
    off: tuple[str, ...] = ()  # what was left out, in words
