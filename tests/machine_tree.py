"""A machine with serial ports, as files below a folder: synthetic, made from the kernel's documentation of sysfs.

Sources: Documentation/ABI/testing/sysfs-tty and sysfs-bus-usb, and udev's rules 60-serial.rules. What is behind a
device file is whatever the test wants there: a pseudo-terminal, or an empty file.
"""

from __future__ import annotations

from pathlib import Path

USB = "devices/platform/soc/3f980000.usb/usb1/1-1"
SAYS = ("idVendor", "idProduct", "manufacturer", "product", "serial")


class MachineTree:
    """Ports are added one by one; `root` is the folder that stands for /."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "sys/class/tty").mkdir(parents=True)
        (root / "dev").mkdir()

    def usb(
        self,
        name: str,
        position: str,
        says: dict[str, str],
        driver: str,
        *,
        by_id: str = "",
        by_path: str = "",
        interface: str = "00",
        number: str = "0",
        behind: str = "",
    ) -> None:
        """An adapter in the socket `position` that is called `name`, and the names that udev has made for it."""
        adapter = self.root / "sys" / USB / position
        device = adapter / f"{position}:1.{int(interface, 16)}" / name
        device.mkdir(parents=True)
        for word in SAYS:
            if word in says:
                (adapter / word).write_text(says[word] + "\n")
        (device.parent / "bInterfaceNumber").write_text(interface + "\n")
        (device / "port_number").write_text(number + "\n")
        self._tty(name, device, driver, behind)
        self._called("by-id", by_id, name)
        self._called("by-path", by_path, name)

    def own(self, name: str, driver: str, *, kind: str = "", alias: str = "", behind: str = "") -> None:
        """One of the processor's own ports; `kind` "0" is a place of the 8250 driver without hardware."""
        device = self.root / "sys/devices/platform/soc" / f"{name}.serial"
        device.mkdir(parents=True)
        self._tty(name, device, driver, behind)
        if kind:
            (self.root / "sys/class/tty" / name / "type").write_text(kind + "\n")
        if alias:
            (self.root / "dev" / alias).symlink_to(name)

    def consoles(self, names: str) -> None:
        """What the kernel says of its consoles, beside the virtual ones, which have no device."""
        tty = self.root / "sys/class/tty"
        for name in ("console", "tty1"):
            (tty / name).mkdir(exist_ok=True)
        (tty / "console/active").write_text(names + "\n")

    def _tty(self, name: str, device: Path, driver: str, behind: str) -> None:
        folder = self.root / "sys/class/tty" / name
        folder.mkdir()
        (folder / "device").symlink_to(device)
        drivers = self.root / "sys/bus/drivers" / driver
        drivers.mkdir(parents=True, exist_ok=True)
        (device / "driver").symlink_to(drivers)
        if behind:
            (self.root / "dev" / name).symlink_to(behind)
        else:
            (self.root / "dev" / name).write_text("")

    def _called(self, kind: str, called: str, name: str) -> None:
        if called:
            folder = self.root / "dev/serial" / kind
            folder.mkdir(parents=True, exist_ok=True)
            (folder / called).unlink(missing_ok=True)
            (folder / called).symlink_to(f"../../{name}")
