"""The link that a part of the configuration asks for, its library imported only then; and which links share threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from gateway.clock import Clock
from gateway.config import schema
from gateway.driver import PinUse
from gateway.links.port import Link
from gateway.links.shared import LINKS_PER_THREAD, SharedThread
from gateway.model import Fact


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


def shared_threads(
    links: Mapping[str, schema.Link], clock: Clock, tell: Callable[[Fact], None]
) -> Mapping[str, SharedThread]:
    """The thread that each Modbus TCP link shares with others; as few as there may be, and as even as they can be."""
    names = [name for name, part in links.items() if part.type == "tcp" and part.framing == "tcp"]
    if len(names) < 2:
        return {}
    count = -(-len(names) // LINKS_PER_THREAD)
    threads = [SharedThread(f"links {number}", clock, tell) for number in range(1, count + 1)]
    return {name: threads[place % count] for place, name in enumerate(names)}
