"""A network that cuts: passes bytes between gateways and their broker, until the cut that it has chosen for each.

A cut comes behind a certain byte of one direction. Up to there bytes pass as they come, or late, or one a segment.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

MAX_DELAY_S = 0.05
MAX_SINGLE = 3_000
"""Bytes of a connection that go one a segment, at most."""

HOW = ("reset", "close", "swallow")
PACES = ("whole", "single bytes", "late")


class Cut(NamedTuple):
    """`how` a connection ends behind `after` bytes `up` (to the broker) or down, and how its bytes pass until then.

    "reset": RST to both ends. "close": FIN. "swallow": nothing passes any more in this direction, and nobody is told.
    """

    up: bool
    after: int
    how: str
    pace: str


def any_cut(chance: random.Random) -> Cut:
    """Small offsets as often as great ones: the first bytes are the handshake, and answers are short."""
    up = chance.random() < 0.5
    return Cut(
        up,
        int(2 ** chance.uniform(0, 15 if up else 9)),
        chance.choices(HOW, (5, 4, 1))[0],
        chance.choices(PACES, (6, 2, 2))[0],
    )


class Side(asyncio.Protocol):
    """One end of a passage."""

    def __init__(self, passage: Passage, up: bool) -> None:
        self.passage = passage
        self.up = up
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.passage.opened(self)

    def data_received(self, data: bytes) -> None:
        self.passage.came(data, self.up)

    def connection_lost(self, error: Exception | None) -> None:
        self.passage.end("close")


class Passage:
    """One connection through the network; `cut` None: it is left alone."""

    def __init__(self, network: Network, port: int, cut: Cut | None) -> None:
        self._network = network
        self._port = port
        self._cut = cut
        self._sides: dict[bool, Side] = {}
        self._early: list[bytes] = []
        self._passed = {True: 0, False: 0}
        self._due = {True: 0.0, False: 0.0}
        self._late: dict[bool, deque[bytes]] = {True: deque(), False: deque()}
        self._swallows: bool | None = None
        self._ended = False

    def opened(self, side: Side) -> None:
        self._sides[side.up] = side
        loop = asyncio.get_running_loop()
        if side.up:  # the gateway's end
            loop.create_task(self._reach()).add_done_callback(self._reached)
            return
        for data in self._early:
            self.came(data, True)
        self._early.clear()

    async def _reach(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: Side(self, False), "127.0.0.1", self._port)

    def _reached(self, task: asyncio.Task[None]) -> None:
        if task.exception() is not None:
            self.end("close")

    def came(self, data: bytes, up: bool) -> None:
        if up and False not in self._sides:
            self._early.append(data)
        elif self._cut is None or self._cut.pace == "whole":
            self._pass(data, up)
        elif self._cut.pace == "late":
            loop = asyncio.get_running_loop()
            self._due[up] = max(self._due[up], loop.time() + self._network.chance.uniform(0, MAX_DELAY_S))
            self._late[up].append(data)
            loop.call_at(self._due[up], self._pass_next, up)
        else:
            single = data[: max(0, MAX_SINGLE - self._passed[up])]
            for byte in single:
                self._pass(bytes((byte,)), up)
            self._pass(data[len(single) :], up)

    def _pass_next(self, up: bool) -> None:
        """The loop calls in any order what is due at the same time, so it is not told what to pass."""
        self._pass(self._late[up].popleft(), up)

    def _pass(self, data: bytes, up: bool) -> None:
        if self._ended or self._swallows is up or not data:
            return
        cut = self._cut
        left = cut.after - self._passed[up] if cut is not None and cut.up is up else len(data)
        other = self._sides[not up].transport
        assert other is not None
        other.write(data[:left])
        self._passed[up] += len(data)
        if cut is None or left > len(data) or cut.up is not up:
            return
        self._network.cuts[f"{cut.how}, {'to' if up else 'from'} the broker"] += 1
        self._network.paces[cut.pace] += 1
        if cut.how == "swallow":
            self._swallows = up
        else:
            self.end(cut.how)

    def end(self, how: str) -> None:
        """End both sides: with what is under way, or without."""
        if self._ended:
            return
        self._ended = True
        for side in self._sides.values():
            if side.transport is None:
                continue
            if how == "reset":
                sock = side.transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                side.transport.abort()
            else:
                side.transport.close()


class Network:
    """The cutter's thread. `cuts` and `paces` count what was done, `came` when each port's connections began."""

    def __init__(self, broker: int, choose: Callable[[random.Random], Cut], seed: int) -> None:
        self.chance = random.Random(seed)
        self.cuts: Counter[str] = Counter()
        self.paces: Counter[str] = Counter()
        self.came: dict[int, list[float]] = {}
        self.is_calm = False  # no further cuts: connections that begin now are left alone
        self._broker = broker
        self._choose = choose
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="network")
        self._thread.start()

    def listen(self) -> int:
        """A port behind which the broker is; the cuts of its connections are a series of their own."""
        chance = random.Random(self.chance.getrandbits(64))

        def passage() -> Side:
            self.came.setdefault(port, []).append(self._loop.time())
            return Side(Passage(self, self._broker, None if self.is_calm else self._choose(chance)), True)

        async def serve() -> asyncio.Server:
            return await asyncio.get_running_loop().create_server(passage, "127.0.0.1", 0)

        server = asyncio.run_coroutine_threadsafe(serve(), self._loop).result(10)
        self._servers.append(server)
        port = int(server.sockets[0].getsockname()[1])
        return port

    def stop(self) -> None:
        """Close the doors and end."""

        def end() -> None:
            for server in self._servers:
                server.close()
            self._loop.stop()

        self._loop.call_soon_threadsafe(end)
        self._thread.join(10)
        self._loop.close()
