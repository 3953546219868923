"""Several brokers, websockets and the way there under faults: black holes, cuts, brokers killed under load."""

from __future__ import annotations

import random
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from consumer import Consumer
from mosquitto import mosquitto
from tls_scene import Authority, tls_front
from uplink_scene import RUN, Platform, Scene, Waiter, event, reading, running, until
from web_scene import web_front

from gateway.demo.broker import Broker
from gateway.model import SENT_LANES, Lane, UplinkUp
from gateway.uplink import dial
from gateway.uplink.attempts import Pauses

QUICK = Pauses(least_s=0.02, most_s=0.02, look_back_s=0.3, look_back_most_s=0.3)


@contextmanager
def black_hole() -> Iterator[int]:
    """A port where nobody answers: its queue is full, so the kernel drops whoever knocks."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as stack:
        port = server.getsockname()[1]
        for _ in range(4):
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(("127.0.0.1", port))
        yield port


def test_a_host_that_drops_every_packet_is_passed_over_and_looked_at_again_without_a_stall() -> None:
    platform = Platform()
    broker = Broker(tap=platform.tap)
    good = f"mqtt://127.0.0.1:{broker.start()}"
    with black_hole() as port, running((f"mqtt://127.0.0.1:{port}", good), pauses=QUICK) as scene:
        began = time.monotonic()
        assert "does not answer" in scene.wait_down().what
        assert scene.wait_up().url == good
        assert time.monotonic() - began < dial.CONNECT_S + 1
        slowest, end, seq = 0.0, time.monotonic() + dial.CONNECT_S + 1, 0
        while time.monotonic() < end:
            seq += 1
            stored = time.monotonic()
            scene.store(event(seq))
            until(lambda n=seq: len(platform.on("event")) >= n)  # type: ignore[misc]
            slowest = max(slowest, time.monotonic() - stored)
            Waiter.wait(0.02)
        assert [thread for thread in threading.enumerate() if "scout" in thread.name], "it is out"
        assert slowest < 0.5
    broker.stop()


def test_stopping_does_not_wait_for_a_host_that_drops_every_packet() -> None:
    with black_hole() as port:
        began = time.monotonic()
        with running(f"mqtt://127.0.0.1:{port}"):
            Waiter.wait(0.3)
        assert time.monotonic() - began < 2


def test_a_websocket_that_is_cut_at_random_offsets_loses_nothing(tmp_path: Path) -> None:
    chance = random.Random(11)
    authority = Authority(tmp_path / "ca")
    platform = Platform()
    broker = Broker(tap=platform.tap)
    with (
        web_front(broker.start()) as (front, plain),
        tls_front(plain, authority.issue("web")) as port,
        running(f"wss://localhost:{port}", authority.folder, ca_file="ca.pem", linger=0.01) as scene,
    ):
        scene.wait_up()
        seq = 0
        for cut in range(1, 41):
            broker.drop_after(chance.randrange(1, 4_000))
            for _ in range(20):
                seq += 1
                scene.store(event(seq), reading(seq))
            until(lambda n=cut: len(front.paths) > n, why="and it is not cut")  # type: ignore[misc]
        broker.drop_after(10_000_000)
        scene.wait_acked(30)
    broker.stop()
    for lane in SENT_LANES:
        assert set(platform.seqs(lane)) == set(range(1, seq + 1))
        for hist in (False, True):
            stream = platform.stream(lane, hist=hist)
            assert stream == sorted(stream)


@pytest.mark.mosquitto
@pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed")
def test_the_first_of_two_mosquittos_is_killed_again_and_again_under_load(tmp_path: Path) -> None:
    lines = ("allow_anonymous true", "max_queued_messages 0")
    with (
        mosquitto(tmp_path / "first", *lines) as first,
        mosquitto(tmp_path / "second", *lines) as second,
        Consumer(second.port) as at_second,
    ):
        urls = tuple(f"mqtt://127.0.0.1:{broker.port}" for broker in (first, second))
        seen: set[int] = set()
        with running(urls, linger=0.01, pauses=QUICK) as scene:
            seq = 0
            for _ in range(5):
                with Consumer(first.port) as at_first:
                    until(lambda: scene.wait_fact(UplinkUp).url == urls[0])
                    seq = store(scene, seq)
                    until(lambda: scene.journal.do(lambda journal: not journal.unacked(Lane.TELEMETRY)))
                    at_first.wait_for(lambda n=seq, one=at_first: n in one.seqs(RUN, "telemetry"), 10, "the last")  # type: ignore[misc]
                    seen |= at_first.seqs(RUN, "telemetry")
                first.end(kill=True)
                seq = store(scene, seq)
                until(lambda: scene.wait_fact(UplinkUp).url == urls[1])
                seq = store(scene, seq)
                first.start()
            until(lambda: scene.wait_fact(UplinkUp).url == urls[0])
            scene.wait_acked()
            with_both = set(range(1, seq + 1))
            until(lambda: seen | at_second.seqs(RUN, "telemetry") == with_both, 10)


def store(scene: Scene, seq: int) -> int:
    """Two hundred readings; returns the last one's number."""
    for number in range(seq + 1, seq + 201):
        scene.store(reading(number))
    return seq + 200
