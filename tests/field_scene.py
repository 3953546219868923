"""A device of the demo field on a thread of its own, for tests against a daemon."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from gateway.demo.wiring import Wiring


class Served(Protocol):
    @property
    def close(self) -> Callable[[], None]: ...


T = TypeVar("T", bound=Served)


@contextmanager
def served(make: Callable[[Wiring], T]) -> Iterator[T]:
    """What `make` opens, served until the end of the block."""
    wiring = Wiring()
    wiring.open()
    device = make(wiring)
    thread = threading.Thread(target=wiring.run)
    thread.start()
    try:
        yield device
    finally:
        wiring.post(None)
        thread.join(5)
        device.close()
        wiring.close()
