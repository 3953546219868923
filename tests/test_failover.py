"""Several brokers for one uplink: the first that works is used, and the way back disturbs nothing."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from test_mqtt_wire import Listener, free_port, raw_server
from uplink_scene import ROOT, Platform, Scene, event, reading, running, until

from gateway.demo.broker import Broker
from gateway.model import SENT_LANES, Lane, UplinkDown, UplinkHealth, UplinkUp
from gateway.uplink.attempts import Pauses
from gateway.uplink.wire import Down, Landed, Publication, Up

QUICK = Pauses(least_s=0.02, most_s=0.02, look_back_s=0.2, look_back_most_s=0.2)
NEVER_BACK = QUICK._replace(look_back_s=3600.0, look_back_most_s=3600.0)


class Pair:
    """Two brokers of one platform, the first and the second in the list."""

    def __init__(self, **first: Any) -> None:
        self.platform = Platform()
        self.first = Broker(tap=self.platform.tap, **first)
        self.second = Broker(tap=self.platform.tap)
        self.urls = tuple(f"mqtt://127.0.0.1:{broker.start()}" for broker in (self.first, self.second))

    def stop(self) -> None:
        self.first.stop()
        self.second.stop()


@pytest.fixture
def pair() -> Iterator[Pair]:
    two = Pair()
    yield two
    two.stop()


def test_the_first_that_works_is_used_and_named(pair: Pair) -> None:
    pair.first.pause()
    with running(pair.urls, pauses=NEVER_BACK) as scene:
        down = scene.wait_down()
        assert pair.urls[0].removeprefix("mqtt://") in down.what
        assert scene.wait_up().url == pair.urls[1]
        scene.store(event(1))
        scene.wait_acked()
        until(lambda: (fact := scene.wait_fact(UplinkHealth)).state == "online" and fact.url == pair.urls[1])
    pair.first.resume()
    with running(pair.urls) as scene:
        assert scene.wait_up().url == pair.urls[0]


def test_a_lost_broker_is_replaced_and_comes_back_and_nothing_is_lost_or_out_of_order(pair: Pair) -> None:
    with running(pair.urls, linger=0.01, pauses=QUICK) as scene:
        assert scene.wait_up().url == pair.urls[0]
        seq = 0
        for _ in range(3):
            seq = make(scene, seq)
            pair.first.pause()
            seq = make(scene, seq)
            wait_for(scene, pair.urls[1])
            seq = make(scene, seq)
            pair.first.resume()
            wait_for(scene, pair.urls[0])
            seq = make(scene, seq)
        scene.wait_acked()
    for lane in SENT_LANES:
        assert set(pair.platform.seqs(lane)) == set(range(1, seq + 1))
        for hist in (False, True):
            stream = pair.platform.stream(lane, hist=hist)
            assert stream == sorted(stream)


def make(scene: Scene, seq: int) -> int:
    """A hundred readings and events, told as the hub and the journal do."""
    for number in range(seq + 1, seq + 101):
        scene.sender.post(event(number))
        scene.store(event(number), reading(number))
    return seq + 100


def wait_for(scene: Scene, url: str) -> None:
    until(lambda: scene.wait_fact(UplinkUp).url == url)


def test_a_first_broker_that_acknowledges_nothing_is_left_for_the_second(pair: Pair) -> None:
    pair.first.hold_acks(True)
    steady_at_once = NEVER_BACK._replace(steady_s=0.0001)
    with running(pair.urls, linger=0.01, keepalive=1.0, pauses=steady_at_once) as scene:
        assert scene.wait_up().url == pair.urls[0]
        scene.store(event(1), reading(1))
        assert "has not acknowledged" in scene.wait_down().what
        assert scene.wait_up().url == pair.urls[1]
        scene.wait_acked()


# ---------------------------------------------------------------- the way back


def test_on_the_way_back_the_old_connection_ends_after_the_new_one_stands_and_with_a_goodbye(pair: Pair) -> None:
    pair.first.pause()
    with Listener(pair.urls, pauses=QUICK) as wire:
        assert wire.up_after_failures().url == pair.urls[1]
        until(lambda: pair.second.connected() == ("gw1",))
        pair.first.resume()
        down, up = wire.next(), wire.next()
        assert isinstance(down, Down)
        assert f"going back to {pair.urls[0]}" in down.what
        assert isinstance(up, Up)
        assert (up.url, up.connection) == (pair.urls[0], down.connection + 1)
        until(lambda: pair.second.connected() == ())
        assert pair.second.retained() == {}, "no will"
        wire.wire.publish(up.connection, 5, Publication("x", b"y"))
        assert wire.next() == Landed(up.connection, 5, 0, "Success")


@pytest.mark.promise("status-truthful")
def test_of_the_statuses_at_brokers_that_share_nothing_the_one_with_the_newest_since_is_true(pair: Pair) -> None:
    def newest() -> tuple[str, int]:
        found = [json.loads(broker.retained()[f"{ROOT}/status"]) for broker in (pair.first, pair.second)]
        of_all = max(found, key=lambda status: status["since"])
        return of_all["state"], found.index(of_all)

    pair.first.pause()
    with running(pair.urls, pauses=QUICK) as scene:
        wait_for(scene, pair.urls[1])
        until(lambda: f"{ROOT}/status" in pair.second.retained())
        pair.first.resume()
        wait_for(scene, pair.urls[0])
        until(lambda: f"{ROOT}/status" in pair.first.retained())
        assert newest() == ("online", 0), "the second goes on saying online, too"
        pair.second.pause()
        pair.first.drop_connections()
        pair.first.pause()
        pair.second.resume()
        wait_for(scene, pair.urls[1])
        until(lambda: newest() == ("online", 1), why="the first says lost")
    until(lambda: newest() == ("stopped", 1))


def test_a_good_connection_is_kept_while_the_first_broker_refuses_the_login(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    logins = []

    def refuse(one: socket.socket) -> None:
        logins.append(one.recv(1000))
        one.sendall(b"\x20\x03\x00\x86\x00")
        one.recv(1)

    with raw_server(refuse) as port, Listener((f"mqtt://127.0.0.1:{port}", pair.urls[1]), pauses=QUICK) as wire:
        assert wire.up_after_failures().url == pair.urls[1]
        until(lambda: len(logins) > 4)
        assert all(b"gw1" in login for login in logins), "a whole login each time"
        assert wire.heard.empty(), "not a word of it reaches the sender"
        assert pair.second.connected() == ("gw1",)
    told = [record.getMessage() for record in caplog.records if "stays with" in record.getMessage()]
    assert len(told) == 1, "once for each reason"
    assert "user name or password" in told[0]
    assert pair.urls[1] in told[0]


def test_a_first_broker_that_accepts_and_says_nothing_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    mute = threading.Event()
    platform = Platform()
    second = Broker(tap=platform.tap)

    def serve(one: socket.socket) -> None:
        one.recv(1000)
        mute.wait(3)

    with raw_server(serve) as port:
        urls = (f"mqtt://127.0.0.1:{port}", f"mqtt://127.0.0.1:{second.start()}")
        with Listener(urls, pauses=QUICK, patience={"answer_s": 0.5}) as wire:
            up = wire.up_after_failures()
            slowest = 0.0
            for token in range(200):
                began = time.monotonic()
                wire.wire.publish(up.connection, token, Publication("x", b"y"))
                assert wire.next() == Landed(up.connection, token, 0, "Success")
                slowest = max(slowest, time.monotonic() - began)
                threading.Event().wait(0.005)
            mute.set()
        assert slowest < 0.3
    second.stop()


def test_a_connection_that_is_lost_while_the_scout_is_out_goes_on_with_what_it_finds(pair: Pair) -> None:
    """As with two brokers of one cluster, where the new login ends the old connection."""
    answer, asked = threading.Event(), threading.Event()

    def cluster(one: socket.socket) -> None:
        one.recv(1000)
        if not pair.second.connected():
            return
        asked.set()
        answer.wait(10)
        one.sendall(b"\x20\x03\x00\x00\x00")
        one.recv(1)

    with raw_server(cluster) as port, Listener((f"mqtt://127.0.0.1:{port}", pair.urls[1]), pauses=QUICK) as wire:
        before = wire.up_after_failures()
        assert asked.wait(5)
        pair.second.pause()
        answer.set()
        assert wire.down().connection == before.connection
        after = wire.up()
        assert after.url == f"mqtt://127.0.0.1:{port}"
        assert after.connection == before.connection + 1


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts"])
def test_a_broker_that_is_back_at_once_is_used_at_once_though_a_scout_is_out(pair: Pair, scheme: str) -> None:
    """The scout's login is sent and not answered, or does not get so far."""
    asked = threading.Event()

    def mute(one: socket.socket) -> None:
        one.recv(1000)
        if pair.second.connected():
            asked.set()
            while one.recv(1000):
                pass

    steady_soon = QUICK._replace(steady_s=0.05)
    with raw_server(mute) as port, Listener((f"{scheme}://127.0.0.1:{port}", pair.urls[1]), pauses=steady_soon) as wire:
        before = wire.up_after_failures()
        for _ in range(2):
            asked.clear()
            assert asked.wait(5)
            began = time.monotonic()
            pair.second.drop_connections()
            assert wire.down().connection == before.connection
            before = wire.up()
            assert before.url == pair.urls[1]
            assert time.monotonic() - began < 3, "it waits neither for the scout nor for the mute one"


def test_a_login_that_takes_the_session_over_is_named_as_the_way_back(pair: Pair) -> None:
    """Two doors of one broker: it ends the old connection before it answers the new one."""

    def same_broker(one: socket.socket) -> None:
        one.recv(1000)
        if not pair.second.connected():
            return
        pair.second.drop_connections()
        until(lambda: not pair.second.connected())
        one.sendall(b"\x20\x03\x00\x00\x00")
        one.recv(1)

    with raw_server(same_broker) as port, Listener((f"mqtt://127.0.0.1:{port}", pair.urls[1]), pauses=QUICK) as wire:
        before = wire.up_after_failures()
        down, up = wire.down(), wire.up()
        assert f"going back to mqtt://127.0.0.1:{port}" in down.what
        assert (up.url, up.connection) == (f"mqtt://127.0.0.1:{port}", before.connection + 1)


def test_stopping_calls_the_scout_back_and_leaves_no_will_behind(pair: Pair) -> None:
    asked = threading.Event()

    def slow(one: socket.socket) -> None:
        one.recv(1000)
        asked.set()
        one.recv(1000)

    with raw_server(slow) as port:
        first = f"mqtt://127.0.0.1:{port}"
        with Listener((first, pair.urls[1]), pauses=QUICK, patience={"answer_s": 0.1}) as wire:
            wire.up_after_failures()
            asked.clear()
            wire.wire._answer_s = 30.0
            assert asked.wait(5)
            began = time.monotonic()
            wire.wire.finish()
            wire.thread.join(5)
            assert not wire.thread.is_alive()
            assert time.monotonic() - began < 2
    assert not [thread.name for thread in threading.enumerate() if "scout" in thread.name]
    assert pair.second.retained() == {}


# ---------------------------------------------------------------- each uplink for itself


def test_an_uplink_with_dead_brokers_disturbs_nothing_of_another(pair: Pair) -> None:
    dead = (f"mqtt://127.0.0.1:{free_port()}", "mqtt://no..host:1883", f"mqtt://127.0.0.1:{free_port()}")
    with (
        running(pair.urls, linger=0.01, pauses=NEVER_BACK) as healthy,
        running(dead, linger=0.01, pauses=Pauses(least_s=0.0, most_s=0.0)) as other,
    ):
        healthy.wait_up()
        other.wait_down()
        slowest = 0.0
        for seq in range(1, 201):
            for scene in (healthy, other):
                scene.store(event(seq), reading(seq))
            began = time.monotonic()
            until(lambda s=seq: len(pair.platform.on("event")) >= s)  # type: ignore[misc]
            slowest = max(slowest, time.monotonic() - began)
        healthy.wait_acked()
        assert slowest < 0.5
        assert not any(isinstance(fact, UplinkDown) for fact in healthy.heard)
        assert other.journal.do(lambda journal: len(journal.unacked(Lane.EVENT))) == 200
    assert pair.platform.stream(Lane.EVENT, hist=False) == list(range(1, 201))
