"""What exchanges take on the links of a configuration, and how much of their time the devices ask for. Arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.config.schema import Device, Link, SerialLink, TcpLink
from gateway.driver import Family, PlannedRead, Polled
from gateway.wiretime import WireTime, of_line, of_network

FAR_BAUDRATE = 9600
"""Assumed of the line behind a serial server, which the gateway does not see."""

_ASKED_OF_A_DEAD_DEVICE = 2  # reads without a reply after which a driver takes its device as absent


@dataclass(frozen=True, slots=True)
class DeviceLoad:
    """What one device asks of its link; empty `reads` where its driver does not tell beforehand."""

    reads: tuple[PlannedRead, ...]
    poll_s: float  # one poll
    every: float  # seconds between polls
    absent_s: float  # one poll while the device does not answer

    @property
    def share(self) -> float:
        """Of the time of its link, from 0 to 1 or more."""
        return self.poll_s / self.every


@dataclass(frozen=True, slots=True)
class LinkLoad:
    """What the devices of one link ask of it."""

    wire: WireTime
    devices: Mapping[str, DeviceLoad]

    @property
    def share(self) -> float:
        """Of its time, from 0 to 1 or more."""
        return sum(device.share for device in self.devices.values())

    @property
    def cycle_s(self) -> float:
        """Each device asked once."""
        return sum(device.poll_s for device in self.devices.values())


def share_text(share: float) -> str:
    """A share of time in percent, as people write it."""
    if share < 0.001:
        return "less than 0.1%"
    return f"{share:.1%}" if share < 0.0995 else f"{share:.0%}"


def wire_of(link: Link) -> WireTime | None:
    """What exchanges take on a link; None where they take what a recording says, or where there are none."""
    match link:
        case SerialLink():
            return wire_of_line(link)
        case TcpLink():
            return of_line(FAR_BAUDRATE, timeout_s=link.timeout) if link.framing == "rtu" else of_network(link.timeout)
    return None


def wire_of_line(line: SerialLink) -> WireTime:
    """What exchanges take on a serial line."""
    switching_s = 0.0 if line.direction is None else line.direction.before + line.direction.after
    return of_line(line.baudrate, line.parity, line.stopbits, line.guard, line.timeout, switching_s)


def load_of(link: Link, devices: Mapping[str, Device]) -> LinkLoad | None:
    """What `devices`, those of this link, ask of it; None without a device that is read in registers."""
    wire = wire_of(link)
    loads = {
        name: _device_load(device.built, device.every, wire)
        for name, device in devices.items()
        if wire is not None and isinstance(device.built, Polled) and device.built.family is Family.REGISTERS
    }
    return LinkLoad(wire, loads) if wire is not None and loads else None


def _device_load(driver: Polled, every: float, wire: WireTime) -> DeviceLoad:
    reads = driver.reads
    unanswered = min(len(reads), _ASKED_OF_A_DEAD_DEVICE) or 1
    return DeviceLoad(reads, sum(read.wire_s(wire) for read in reads), every, unanswered * wire.unanswered_s())
