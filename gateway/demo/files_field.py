"""Files as the kernel keeps them, in a folder of the demo's own: DS18B20 thermometers, and what a Raspberry Pi says.

Source: the data sheet's scratchpad, and the kernel's documentation of w1_therm, thermal zones, hwmon and meminfo.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from gateway.demo.cast import Probe

_MACHINE = {
    "sys/class/thermal/thermal_zone0/temp": "51540\n",
    "sys/class/hwmon/hwmon0/name": "rpi_volt\n",
    "sys/class/hwmon/hwmon0/in0_lcrit_alarm": "0\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
    "proc/meminfo": "MemTotal:         948180 kB\nMemAvailable:     612440 kB\n",
}


def scratchpad(celsius: float) -> str:
    """What the file w1_slave says for a temperature."""
    measured = struct.pack("<h", round(celsius * 16)) + bytes.fromhex("4b467fff0c10")
    crc = 0
    for byte in measured:
        for bit in range(8):
            crc = crc >> 1 ^ (0x8C if (crc ^ byte >> bit) & 1 else 0)
    told = (measured + bytes([crc])).hex(" ")
    return f"{told} : crc={crc:02x} YES\n{told} t={round(celsius * 16) * 1000 // 16}\n"


class FilesField:
    """The files below `root`. Lives on the wiring's thread."""

    def __init__(self, root: Path, probes: Mapping[str, tuple[Probe, Callable[[float], float]]]) -> None:
        self.root = root
        self._probes = probes

    def open(self, now: float) -> None:
        """Write all of them."""
        for name, text in _MACHINE.items():
            file = self.root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="ascii")
        for probe, _ in self._probes.values():
            self._file(probe).parent.mkdir(parents=True, exist_ok=True)
        self.refresh(now)

    def close(self) -> None:
        """Take them away. Idempotent; only while the wiring does not run."""
        shutil.rmtree(self.root, ignore_errors=True)

    def refresh(self, now: float) -> None:
        """Let the thermometers say what they measure at the monotonic time `now`."""
        for probe, at in self._probes.values():
            file = self._file(probe)
            new = file.with_suffix(".new")
            with suppress(OSError):
                new.write_text(scratchpad(at(now)), encoding="ascii")
                new.replace(file)  # whole: the kernel's file is never half written either

    def _file(self, probe: Probe) -> Path:
        return self.root / "sys/bus/w1/devices" / probe.id / "w1_slave"
