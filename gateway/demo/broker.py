"""A small MQTT broker inside the process, for the demo and for tests: loopback only, one thread of its own.

- MQTT 3.1.1 and 5; QoS 0 and 1; retained messages, wills, persistent sessions, keep-alive. No QoS 2, no TLS, no disk.
- A client that sends what is no MQTT loses its connection, and nobody else notices. All that is kept is bounded.
- A will is published as soon as its client is lost; a will delay is not waited for.
- Faults on demand: it goes away and comes back, withholds acknowledgements, refuses messages or version 5, cuts bytes.
- `tap` is told every message that was accepted, on the broker's thread; it must not wait.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import TypeVar

from gateway.demo import packets
from gateway.demo.broker_client import Client, Desk, Tap
from gateway.demo.packets import Publish

CALL_S = 5.0

T = TypeVar("T")


class Broker:
    """The broker. Every method may be called from any thread but its own, and returns when it is done."""

    def __init__(
        self, receive_maximum: int = 20, credentials: tuple[str, str] | None = None, tap: Tap | None = None
    ) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None
        self._port = 0
        self._desk = Desk(receive_maximum, credentials, tap, self._now)

    # ------------------------------------------------------------ life

    def start(self, port: int = 0) -> int:
        """Listen on 127.0.0.1; returns the port."""
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="demo broker", daemon=True)
        self._thread.start()
        self._call(self._listen)
        return self._port

    def stop(self) -> None:
        """Close everything and forget everything; again and again does no harm."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._call(self._go_away)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(CALL_S)
        loop.close()
        self._loop = self._thread = None
        self._desk.memory.forget()

    @property
    def port(self) -> int:
        """Where it listens, or did."""
        return self._port

    def connected(self) -> tuple[str, ...]:
        """The ids of all connected clients."""
        return self._do(lambda: tuple(c.session.client_id for c in self._desk.clients if c.session is not None))

    def retained(self) -> dict[str, bytes]:
        """Topic and payload of all that is retained."""
        return self._do(lambda: {topic: message.payload for topic, message in self._desk.memory.retained.items()})

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        """Publish, as a client would."""
        packets.check_topic(topic)
        self._do(lambda: self._desk.accept(Publish(topic, payload, qos, retain), None))

    # ------------------------------------------------------------ faults

    def pause(self) -> None:
        """Go away: close all connections, refuse new ones; sessions and retained messages are kept, wills unsaid."""
        self._call(self._go_away)

    def resume(self) -> None:
        """Come back, on the same port."""
        self._call(self._listen)

    def forget(self) -> None:
        """Forget sessions and retained messages, as a restart without persistence does."""
        self._do(self._desk.memory.forget)

    def drop_connections(self) -> None:
        """Cut all connections; clients may come back at once. Wills are published."""

        def cut_all() -> None:
            for client in list(self._desk.clients):
                client.cut()

        self._do(cut_all)

    def drop_after(self, count: int) -> None:
        """Cut the connection over which the next `count` bytes have come, with the last of them."""

        def lay() -> None:
            self._desk.faults.fuse = count

        self._do(lay)

    def hold_acks(self, hold: bool) -> None:
        """Withhold every PUBACK from now on; or send those withheld to clients that are still there."""

        def switch() -> None:
            self._desk.faults.holds_acks = hold
            if not hold:
                for client in list(self._desk.clients):
                    client.release()

        self._do(switch)

    def refuse_version_5(self, refuse: bool) -> None:
        """Answer version 5 as a broker that only knows 3.1.1."""

        def switch() -> None:
            self._desk.faults.refuses_5 = refuse

        self._do(switch)

    def refuse_publish(self, filter_: str, code: int) -> None:
        """Refuse messages under `filter_` with this reason code (3.1.1 has none: they vanish); 0: take them again."""

        def switch() -> None:
            self._desk.faults.refusals.pop(filter_, None)
            if code:
                self._desk.faults.refusals[filter_] = code

        self._do(switch)

    # ------------------------------------------------------------ on the broker's thread

    async def _listen(self) -> None:
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: Client(self._desk), "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def _go_away(self) -> None:
        if self._server is not None:
            self._server.close()  # and no wait_closed: from Python 3.12 on it waits for the clients that are cut next
            self._server = None
        for client in list(self._desk.clients):
            client.will = None
            client.cut()
        for _ in range(3):  # asyncio tells connections of their end in its next round
            await asyncio.sleep(0)

    def _now(self) -> float:
        return self._loop.time() if self._loop is not None else 0.0

    def _call(self, act: Callable[[], Coroutine[None, None, T]]) -> T:
        if self._loop is None:
            raise RuntimeError("the broker is not running")
        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(CALL_S)

    def _do(self, act: Callable[[], T]) -> T:
        async def done() -> T:
            return act()

        return self._call(done)
