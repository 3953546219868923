"""The link that a part of the configuration asks for; its library is imported only then."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gateway.config import schema
from gateway.driver import PinUse
from gateway.links.port import Link


def link(name: str, part: schema.Link, uses: Iterable[tuple[PinUse, float]], folder: Path) -> Link:
    """The link `name`, not yet opened. `uses`: its pins and how often (s) each is read; captures are below `folder`."""
    match part:
        case schema.SerialLink():
            from gateway.links.serial import SerialLine  # noqa: PLC0415 - see above

            return SerialLine(name, part)
        case schema.TcpLink():
            from gateway.links.tcp import TcpPeer  # noqa: PLC0415 - see above

            return TcpPeer(name, part)
        case schema.GpioLink():
            from gateway.links.gpio import GpioHeader  # noqa: PLC0415 - see above

            return GpioHeader(name, part, uses)
        case schema.ReplayLink():
            from gateway.links.replay import Replay  # noqa: PLC0415 - see above

            return Replay(folder / part.capture, loop=part.loop)
