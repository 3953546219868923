"""A configuration with one Modbus device, `dock`, and what is said where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.installed import read_config
from gateway.errors import ConfigError

SITE = """\
site: {{id: s, timezone: UTC}}
gateway: {{id: g}}
links: {{bus: {link}}}
devices:
  dock: {{driver: modbus, link: bus, unit: {unit}, zone: z, {device}}}
"""
LINE = "{type: serial, port: /dev/ttyUSB0, baudrate: 9600}"


def site(folder: Path, device: str, link: str = LINE, unit: int = 1) -> Path:
    """A configuration with one device, `dock`, with these keys."""
    path = folder / "site.yaml"
    path.write_text(SITE.format(link=link, unit=unit, device=device), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    (told,) = caught.value.problems
    return told.removeprefix(str(path.parent) + "/")
