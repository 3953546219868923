"""Why a serial port cannot be opened, and what to do about it."""

from __future__ import annotations

import errno
import grp
import os
import pwd
from contextlib import suppress

from gateway.errors import LinkDown
from gateway.links.access import Guarded
from gateway.links.adapters import serial_ports
from gateway.links.holder import Holder, holders

_GRABBERS = {  # services of usual distributions that take ports which nobody has given them
    "ModemManager": "it looks for modems: sudo systemctl disable --now ModemManager",
    "brltty": "it takes adapters for braille displays: sudo apt remove brltty",
    "agetty": "it is the system's console: sudo raspi-config, Interface Options, Serial Port: no login shell",
    "gpsd": "it takes GPS receivers: use driver gps_gpsd, or sudo systemctl disable --now gpsd gpsd.socket",
}


def unusable(port: str, error: Exception) -> LinkDown:
    """What the failed opening of the device file `port` means."""
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.ENOENT:
        return LinkDown(f"there is no port {port}", plugged_in())
    if code == errno.EACCES:
        return LinkDown(f"no permission to open {port}{_guarded_words(port)}", _permission_hint(port))
    if code == errno.EPERM:
        what = f"opening {port} is forbidden to this service"
        return LinkDown(what, "its unit allows some kinds of ports only: sudo systemctl edit sitewarden, DeviceAllow=")
    if code in {errno.EAGAIN, errno.EBUSY}:
        return _taken(port, [it for it in holders(port) if it.pid != os.getpid()])
    if code in {errno.ENXIO, errno.ENODEV, errno.EIO}:
        return LinkDown(f"{port} exists but nothing answers behind it ({os.strerror(code)})", plugged_in())
    if isinstance(error, ValueError):
        return LinkDown(f"{port} does not accept these settings: {error}", "check baudrate, parity and stopbits")
    return LinkDown(f"{port} cannot be opened as a serial port: {error}", "check that this is a serial port")


def plugged_in() -> str:
    """The ports of this machine, by names that stay."""
    ports = serial_ports()
    found = ", ".join(it.stable for it in ports if it.usb) or ", ".join(it.stable for it in ports)
    return f"plugged in are: {found}" if found else "no serial port is plugged in: check the cable and the adapter"


def _taken(port: str, others: list[Holder]) -> LinkDown:
    if not others:
        return LinkDown(f"{port} is in use by another program", f"find it with: sudo fuser -v {port}")
    name = others[0].program.partition(" ")[0]
    hint = _GRABBERS.get(name, "end it, or give one of the two another port; two readers take each other's bytes")
    return LinkDown(f"{port} is in use by {' and '.join(map(str, others))}", hint)


def _guard(port: str) -> Guarded | None:
    """How the port is guarded; None if that cannot be seen."""
    try:
        state = os.stat(port)  # noqa: PTH116 - a name that may be a symbolic link, as a whole
    except OSError:
        return None
    group = str(state.st_gid)
    with suppress(KeyError):
        group = grp.getgrgid(state.st_gid).gr_name
    return Guarded(state.st_mode, state.st_uid, state.st_gid, group)


def _guarded_words(port: str) -> str:
    guarded = _guard(port)
    return "" if guarded is None else f": it belongs to the group {guarded.group}, mode {guarded.mode & 0o777:o}"


def _permission_hint(port: str) -> str:
    guarded = _guard(port)
    if guarded is not None and not guarded.shared:
        return 'let its group use it, with a udev rule: GROUP="dialout", MODE="0660"'
    user = "<user>"
    with suppress(KeyError):
        user = pwd.getpwuid(os.geteuid()).pw_name
    group = "dialout" if guarded is None else guarded.group
    return f"add the user to the group, then start again: sudo usermod -aG {group} {user}"
