"""The serial ports of this machine: what is plugged in, the names that stay, and which of them to write down.

Source: sysfs as Linux has it (Documentation/ABI/testing/sysfs-tty, sysfs-bus-usb), and the names that udev makes below
/dev/serial. Where udev finds two adapters that say the same of themselves, it gives one of them the name by-id and the
other none; which one can change at every boot.

`root` is "/" but in tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

ROOT = Path("/")
_MAKERS = {  # by the USB vendor id, for adapters that do not name their maker
    "0403": "FTDI",
    "067b": "Prolific",
    "10c4": "Silicon Labs",
    "1546": "u-blox",
    "1a86": "QinHeng",
}


class Usb(NamedTuple):
    """A USB adapter, as it says of itself; "" where it says nothing."""

    vendor: str  # four hexadecimal digits
    product: str
    maker: str
    name: str
    serial: str
    position: str  # of the socket: bus and ports on the way, as in 1-1.3
    interface: str  # which of the adapter's own ports, as in 00, or 00.1

    @property
    def identity(self) -> tuple[str, ...]:
        """What its name by-id is made of."""
        return self.vendor, self.product, self.maker, self.name, self.serial, self.interface


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A serial port and its names; `usb` is None for one of the processor's own."""

    device: str
    driver: str
    usb: Usb | None
    by_id: str  # "" where there is none
    by_path: str
    alias: str  # as in /dev/serial0
    console: bool  # the system talks on it
    twins: tuple[str, ...] = ()  # devices that say the same of themselves

    @property
    def stable(self) -> str:
        """The name to write into the configuration: what leads to this port tomorrow, too."""
        if self.twins:
            return self.by_path or self.device
        return self.by_id or self.by_path or self.alias or self.device


def serial_ports(root: Path = ROOT) -> tuple[SerialPort, ...]:
    """The serial ports that are there, by their device files."""
    names = _names(root)
    consoles = _text(root / "sys/class/tty/console/active").split()
    found = [
        _port(tty, names, consoles) for tty in sorted((root / "sys/class/tty").glob("*"), key=_place) if _real(tty)
    ]
    return tuple(replace(port, twins=_twins(port, found)) for port in found)


class _Names(NamedTuple):
    """A device's further names, in order of preference."""

    by_id: dict[str, str]
    by_path: dict[str, str]
    alias: dict[str, str]


def _names(root: Path) -> _Names:
    def named(links: Iterable[Path]) -> dict[str, str]:
        found: dict[str, str] = {}
        for link in sorted(links, key=lambda it: ("usbv2" in it.name, it.name)):  # the older form is known everywhere
            if link.is_symlink():
                found.setdefault(link.resolve().name, f"/{link.relative_to(root)}")
        return found

    dev = root / "dev"
    return _Names(
        named((dev / "serial/by-id").glob("*")),
        named((dev / "serial/by-path").glob("*")),
        named(dev.glob("serial[0-9]*")),
    )


def _real(tty: Path) -> bool:
    """Whether there is hardware behind it: consoles have no device, and unused places of the 8250 driver no type."""
    return (tty / "device").exists() and _text(tty / "type") != "0"


def _port(tty: Path, names: _Names, consoles: Sequence[str]) -> SerialPort:
    name = tty.name
    device = (tty / "device").resolve()
    return SerialPort(
        f"/dev/{name}",
        _base(device / "driver"),
        _usb(device),
        names.by_id.get(name, ""),
        names.by_path.get(name, ""),
        names.alias.get(name, ""),
        name in consoles,
    )


def _usb(device: Path) -> Usb | None:
    """The USB adapter that has the device: the first folder above it that names a vendor."""
    interface, number = "", _text(device / "port_number")
    for folder in (device, *device.parents):
        interface = interface or _text(folder / "bInterfaceNumber")
        if vendor := _text(folder / "idVendor"):
            return Usb(
                vendor,
                _text(folder / "idProduct"),
                _text(folder / "manufacturer") or _MAKERS.get(vendor, ""),
                _text(folder / "product"),
                _text(folder / "serial"),
                folder.name,
                f"{interface}.{number}" if number not in ("", "0") else interface,
            )
    return None


def _twins(port: SerialPort, ports: Iterable[SerialPort]) -> tuple[str, ...]:
    """The other ports whose name by-id would be the same."""
    usb = port.usb
    if usb is None:
        return ()
    return tuple(it.device for it in ports if it.usb is not None and it is not port and it.usb.identity == usb.identity)


def _place(tty: Path) -> tuple[str, int]:
    """Names in the order of their numbers: ttyUSB2 before ttyUSB10."""
    word = tty.name.rstrip("0123456789")
    number = tty.name[len(word) :]
    return word, int(number or 0)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _base(link: Path) -> str:
    return link.resolve().name if link.exists() else ""
