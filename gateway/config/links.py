"""What is said of links, one class for each type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from gateway.config.written import Duration, Filled, Within
from gateway.driver import Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """How the RTS line of a port switches an RS-485 transceiver between sending and receiving."""

    rts: Annotated[Literal["high", "low"], Doc("The level of RTS while sending; the other one while receiving")] = (
        "high"
    )
    before: Annotated[Duration, Within(ge=0, le=0.1), Doc("From switching to the first bit, in whole ms")] = 0.0
    after: Annotated[Duration, Within(ge=0, le=0.1), Doc("From the last bit to switching back, in whole ms")] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialLink:
    """A serial port: one RS-485 bus, or one device that talks by itself."""

    type: Literal["serial"]
    enabled: Annotated[bool, Doc("false: checked, but not used, nor its devices")] = True
    port: Annotated[Filled, Doc("The device file; /dev/serial/by-id/... stays the same")]
    baudrate: Annotated[int, Within(ge=300, le=4_000_000)] = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stopbits: Literal[1, 2] = 1
    timeout: Annotated[
        Annotated[Duration, Within(ge=0.01, le=10)] | None,
        Doc("For an answer; default: 300 ms and twice the time on the wire"),
    ] = None
    guard: Annotated[
        Duration, Within(ge=0, le=1), Doc("Silence before a request, beyond 3.5 characters, for slow devices")
    ] = 0.0
    echo: Annotated[bool, Doc("true: the adapter hears what it sends")] = False
    direction: Annotated[
        Direction | None,
        Doc("For a port whose driver switches the transceiver by RTS; without it the adapter does so by itself"),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpLink:
    """A TCP peer: a Modbus TCP device or gateway, or a serial server."""

    type: Literal["tcp"]
    enabled: Annotated[bool, Doc("false: checked, but not used, nor its devices")] = True
    host: Annotated[Filled, Doc("Name or address")]
    port: Annotated[int, Within(ge=1, le=65535)] = 502
    framing: Annotated[Literal["tcp", "rtu"], Doc("rtu: a serial server that passes RTU frames through")] = "tcp"
    timeout: Annotated[Duration, Within(ge=0.01, le=30), Doc("For a connection and for an answer")] = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GpioLink:
    """The GPIO header of the Raspberry Pi, or a simulated one."""

    type: Literal["gpio"]
    enabled: Annotated[bool, Doc("false: checked, but not used, nor its devices")] = True
    factory: Annotated[Literal["auto", "mock"], Doc("mock: simulated pins, for trying things out")] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesLink:
    """Files of the kernel: 1-wire sensors, and what the machine says of itself."""

    type: Literal["files"]
    enabled: Annotated[bool, Doc("false: checked, but not used, nor its devices")] = True
    root: Annotated[Filled, Doc("The folder that is taken for /, for trying things out")] = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayLink:
    """A recorded exchange (tests/drivers/*.capture) in place of a wire."""

    type: Literal["replay"]
    enabled: Annotated[bool, Doc("false: checked, but not used, nor its devices")] = True
    capture: Annotated[Filled, Doc("The recording's file")]
    loop: Annotated[bool, Doc("true: begin again at its end")] = False


Link: TypeAlias = SerialLink | TcpLink | GpioLink | FilesLink | ReplayLink
