"""The link that a part of the configuration asks for, its library imported only then; and which links share threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from gateway.clock import Clock
from gateway.config import schema
from gateway.driver import Driver, PinUse
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
        case schema.FilesLink():
            from gateway.links.files import KernelFiles  # noqa: PLC0415 - see above

            return KernelFiles(name, part, folder)
        case schema.ReplayLink():
            from gateway.links.replay import Replay  # noqa: PLC0415 - see above

            return Replay(folder / part.capture, loop=part.loop)


def has_to_reopen(part: schema.Link, before: Iterable[Driver], now: Iterable[Driver]) -> bool:
    """Whether an open link cannot go on with other devices: it is asked for its families and pins as it is opened."""
    return isinstance(part, schema.GpioLink) or {it.family for it in before} != {it.family for it in now}


def with_room(shared: Mapping[str, SharedThread]) -> SharedThread | None:
    """The thread that a new Modbus TCP link shares with the links that do so already; None where there is none."""
    laden = Counter(shared.values())
    thread = min(laden, key=laden.__getitem__, default=None)
    return thread if thread is not None and laden[thread] < LINKS_PER_THREAD else None


def shares(part: schema.Link) -> bool:
    """Whether a link may share a thread with others."""
    return part.type == "tcp" and part.framing == "tcp"


def shared_threads(
    links: Mapping[str, schema.Link], clock: Clock, tell: Callable[[Fact], None]
) -> Mapping[str, SharedThread]:
    """The thread that each Modbus TCP link shares with others; as few as there may be, and as even as they can be."""
    names = [name for name, part in links.items() if shares(part)]
    if len(names) < 2:
        return {}
    count = -(-len(names) // LINKS_PER_THREAD)
    threads = [SharedThread(f"links {number}", clock, tell) for number in range(1, count + 1)]
    return {name: threads[place % count] for place, name in enumerate(names)}
