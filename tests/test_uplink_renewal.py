"""Certificates that are renewed, or not, while a connection stands."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from test_mqtt_wire import Listener, raw_server
from tls_scene import Authority, Pair, tls_front
from uplink_scene import ROOT, until

from gateway.clock import SystemClock
from gateway.config.schema import Uplink
from gateway.demo.broker import Broker
from gateway.model import CertificatesRead, Moment, Trust
from gateway.uplink import tls
from gateway.uplink.faults import Fault, refusal
from gateway.uplink.renewal import AGAIN_S, BROKER_EXPIRES, FILES_CHANGED, LOOK_S, CertificateFiles, own_and_cas
from gateway.uplink.wire import Down, Landed, Publication

T0 = 1_800_000_000_000
DAY_S = 86_400.0
OPTIONS: dict[str, Any] = {"ca_file": "ca.pem", "cert_file": "own.pem", "key_file": "own.key"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


class SetClock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.trust = Trust.SYNCED

    def mono(self) -> float:
        return self.at

    def now(self) -> Moment:
        return Moment(self.at, T0 + round(self.at * 1000), self.trust)


class Looked:
    """The files of one gateway in `folder`, looked at when the test says so."""

    def __init__(self, folder: Path, authority: Authority, **more: Any) -> None:
        self.folder = folder
        self.told: list[CertificatesRead] = []
        self.clock = SetClock()
        shutil.copy(authority.ca.cert, folder / "ca.pem")
        self.put(authority.issue("first"))
        options = Uplink(url=("mqtts://h:8883",), **OPTIONS, **more)
        self.files = CertificateFiles("platform", options, folder, self.clock, self.told.append)
        self.connect()

    def connect(self, broker: bytes | None = None) -> None:
        self.shown = tls.Shown()
        self.files.context(self.shown)
        self.shown.certificate = broker
        self.files.tell(self.shown, "h")

    def put(self, pair: Pair) -> None:
        """Replace both files, each at one stroke."""
        for source, name in ((pair.cert, "own.pem"), (pair.key, "own.key")):
            shutil.copy(source, self.folder / "new")
            (self.folder / "new").replace(self.folder / name)

    def write(self, source: Path, name: str) -> None:
        """Write one file in place."""
        (self.folder / name).write_bytes(source.read_bytes())

    def looks(self, times: int) -> list[Fault | None]:
        """What comes of so many looks."""
        found = []
        for _ in range(times):
            self.clock.at += LOOK_S
            found.append(self.files.renewal(self.clock.at, self.shown))
        return found


@pytest.fixture
def looked(tmp_path: Path, authority: Authority) -> Looked:
    return Looked(tmp_path, authority)


def name_in_use(looked: Looked) -> str:
    return own_and_cas(looked.shown.files)[0][0].name


def test_a_renewed_pair_is_taken_up_within_a_minute(looked: Looked, authority: Authority) -> None:
    assert looked.looks(3) == [None] * 3
    looked.put(authority.issue("second"))
    assert looked.looks(2) == [None, FILES_CHANGED]
    assert 2 * LOOK_S <= 60
    looked.connect()
    assert looked.looks(3) == [None] * 3
    assert [told.certificates[0].name for told in looked.told] == ["first", "second"]


def test_a_pair_that_is_half_written_at_one_look_is_no_trouble(looked: Looked, authority: Authority) -> None:
    pair = authority.issue("third")
    looked.write(pair.cert, "own.pem")
    assert looked.looks(1) == [None]
    looked.write(pair.key, "own.key")
    assert looked.looks(2) == [None, FILES_CHANGED]
    assert not any(told.unusable for told in looked.told)


def test_a_key_that_does_not_fit_leaves_the_connection_alone_and_is_told_once(
    looked: Looked, authority: Authority
) -> None:
    pair = authority.issue("fourth")
    looked.write(pair.cert, "own.pem")
    assert looked.looks(6) == [None] * 6
    (complaint,) = [told for told in looked.told if told.unusable]
    assert "does not belong to the certificate" in complaint.unusable
    assert complaint.hint
    looked.write(pair.key, "own.key")
    assert looked.looks(2) == [None, FILES_CHANGED]
    assert looked.told[-1].unusable == ""


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("own.pem", "", "holds no certificate"),
        ("own.key", "rubbish", "holds no usable key"),
        ("ca.pem", "rubbish", "holds no certificate"),
        ("ca.pem", None, "cannot be read"),
    ],
)
def test_files_that_cannot_be_used_are_no_reason_to_connect_again(
    name: str, text: str | None, words: str, looked: Looked
) -> None:
    path = looked.folder / name
    before = path.read_bytes()
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert looked.looks(4) == [None] * 4
    assert words in looked.told[-1].unusable
    path.write_bytes(before)
    assert looked.looks(4) == [None] * 4, "what is in use is there again"
    assert looked.told[-1].unusable == ""
    assert len(looked.told) == 3


def test_a_new_certificate_that_has_expired_is_not_taken_up(looked: Looked, authority: Authority) -> None:
    looked.put(authority.issue("late", end="20250101000000Z"))
    assert looked.looks(3) == [None] * 3
    assert "has expired" in looked.told[-1].unusable
    looked.clock.trust = Trust.UNSYNCED
    looked.put(authority.issue("later", end="20250101000000Z"))
    assert looked.looks(2) == [None, FILES_CHANGED], "with a clock that is not set nobody knows what has expired"


def test_a_connection_that_ends_meanwhile_is_made_again_with_what_could_be_used_last(
    looked: Looked, authority: Authority
) -> None:
    looked.write(authority.issue("half").cert, "own.pem")
    looked.connect()
    assert name_in_use(looked) == "first"
    assert "does not belong" in looked.told[-1].unusable
    looked.put(authority.issue("whole"))
    assert looked.looks(2) == [None, FILES_CHANGED]
    looked.connect()
    assert name_in_use(looked) == "whole"
    assert looked.told[-1].unusable == ""


def test_files_that_are_only_touched_change_nothing(looked: Looked) -> None:
    os.utime(looked.folder / "own.pem", (1, 1))
    assert looked.looks(4) == [None] * 4
    assert len(looked.told) == 1


def test_a_new_ca_is_taken_up_too(looked: Looked, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "Other CA")
    looked.write(other.ca.cert, "ca.pem")
    assert looked.looks(2) == [None, FILES_CHANGED]


def test_the_hub_is_told_of_each_kind_the_certificate_that_expires_first(looked: Looked, authority: Authority) -> None:
    soon = authority.issue("soon", end="20300101000000Z").cert.read_bytes()
    with (looked.folder / "own.pem").open("ab") as chain:
        chain.write(soon)
    looked.connect(der(authority.issue("broker")))
    told = {certificate.which: certificate for certificate in looked.told[-1].certificates}
    assert {which: one.name for which, one in told.items()} == {"own": "soon", "ca": "Test CA", "broker": "broker"}
    assert told["own"].until == 1_893_456_000_000


def der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.cert.read_text())


def test_a_brokers_certificate_that_expires_soon_is_looked_at_again_once_a_day(
    looked: Looked, authority: Authority
) -> None:
    looked.clock.trust = Trust.SYNCED
    soon = authority.issue("soon", end="20270220000000Z")  # 36 days after T0
    looked.connect(der(soon))
    looked.clock.at += 4 * DAY_S
    assert looked.looks(1) == [None]
    looked.clock.at += 1.2 * DAY_S
    assert looked.looks(1) == [BROKER_EXPIRES], "a day before it would be an alarm"
    looked.connect(der(soon))
    assert looked.looks(1) == [None]
    looked.clock.at += DAY_S
    assert looked.looks(1) == [BROKER_EXPIRES]
    looked.connect(der(authority.issue("renewed")))
    looked.clock.at += 300 * DAY_S
    assert looked.looks(1) == [None]


def test_without_files_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    files = CertificateFiles("platform", Uplink(url=("mqtts://h:8883",)), tmp_path, SetClock(), print)
    assert files.due_at == float("inf")
    shown = tls.Shown()
    files.context(shown)
    files.tell(shown, "h")
    assert files.due_at == float("inf")


def test_a_connection_without_tls_does_not_care_for_files(looked: Looked, authority: Authority) -> None:
    looked.put(authority.issue("other"))
    looked.clock.at += LOOK_S
    assert looked.files.renewal(looked.clock.at, tls.Shown()) is None
    assert looked.files.due_at == float("inf"), "there is nothing to wake for"
    looked.connect()
    assert looked.files.due_at < float("inf")


def test_files_that_the_broker_refused_are_tried_again_after_an_hour_or_when_it_refuses_the_old_ones(
    looked: Looked, authority: Authority
) -> None:
    looked.put(authority.issue("refused"))
    assert looked.looks(2) == [None, FILES_CHANGED]
    contents = tuple((looked.folder / name).read_bytes() for name in ("ca.pem", "own.pem", "own.key"))
    looked.files.in_vain(contents, refusal("no", "why"), looked.clock.at)
    assert looked.looks(100) == [None] * 100
    looked.clock.at += AGAIN_S
    assert looked.looks(1) == [FILES_CHANGED]
    assert looked.told[-1].unusable == "no", "until they can be used"
    looked.connect()
    assert name_in_use(looked) == "first"
    looked.files.refused(looked.shown)
    looked.connect()
    assert name_in_use(looked) == "refused"
    assert looked.told[-1].unusable == ""


def test_new_files_are_tried_again_soon_where_the_broker_could_not_be_asked(
    looked: Looked, authority: Authority
) -> None:
    looked.put(authority.issue("unasked"))
    assert looked.looks(2) == [None, FILES_CHANGED]
    looked.files.in_vain((), Fault("no answer", ""), looked.clock.at)
    assert looked.looks(1) == [FILES_CHANGED]


# ---------------------------------------------------------------- on a real wire


@pytest.fixture
def broker() -> Iterator[Broker]:
    one = Broker()
    one.start()
    yield one
    one.stop()


def test_a_standing_connection_is_made_anew_with_the_new_certificate_and_in_order(
    tmp_path: Path, authority: Authority, broker: Broker
) -> None:
    scene = Looked(tmp_path, authority)
    seen: list[str] = []
    patience = {"look_s": 0.05}
    with (
        tls_front(broker.port, authority.issue("server"), authority.ca.cert, seen) as port,
        Listener(f"mqtts://localhost:{port}", tmp_path, patience=patience, **OPTIONS) as wire,
    ):
        up = wire.up()
        wire.wire.publish(up.connection, 1, Publication("before", b"x"))
        wire.next()
        assert {one.which for one in wire.certificates.get(timeout=5).certificates} == {"own", "ca", "broker"}
        scene.write(authority.issue("second").cert, "own.pem")
        until(lambda: any(told.unusable for told in drained(wire)))
        wire.wire.publish(up.connection, 2, Publication("between", b"x"))
        assert not isinstance(wire.next(), Down), "the connection goes on with the old ones"
        broker.drop_connections()
        wire.down()
        wire.up()
        scene.put(authority.issue("third"))
        down = wire.down()
        assert (down.what, down.hint) == FILES_CHANGED[:2]
        again = wire.up()
        wire.wire.publish(again.connection, 3, Publication(f"{ROOT}/status", b"online", retain=True))
        assert wire.next() == Landed(again.connection, 3, 0, "Success")
        assert broker.retained()[f"{ROOT}/status"] == b"online", "the will came before"
    assert seen == ["first", "first", "third"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own.pem", "does not know the CA that signed our certificate (second)"),
        ("ca.pem", "a CA that is not known here"),
    ],
)
def test_new_files_that_the_broker_refuses_leave_the_connection_alone_and_are_told(
    name: str, words: str, tmp_path: Path, authority: Authority, broker: Broker
) -> None:
    scene, other = Looked(tmp_path, authority), Authority(tmp_path / "other", "Other CA")
    seen: list[str] = []
    with (
        tls_front(broker.port, authority.issue("server"), authority.ca.cert, seen) as port,
        Listener(f"mqtts://localhost:{port}", tmp_path, patience={"look_s": 0.05}, **OPTIONS) as wire,
    ):
        up = wire.up()
        if name == "ca.pem":
            scene.write(other.ca.cert, name)
        else:
            scene.put(other.issue("second"))
        (complaint,) = until(lambda: [told for told in drained(wire) if told.unusable])
        assert words in complaint.unusable
        wire.wire.publish(up.connection, 1, Publication("x", b"y"))
        assert wire.next() == Landed(up.connection, 1, 0, "Success"), "the connection goes on with the old ones"
        broker.drop_connections()
        wire.down()
        wire.up()
        assert all(told.unusable for told in drained(wire)), "with the old ones, and it is still told"
        scene.write(authority.ca.cert, "ca.pem")
        scene.put(authority.issue("third"))
        assert wire.down().what == FILES_CHANGED.what
        wire.up()
        until(lambda: [told for told in drained(wire) if not told.unusable])
    assert seen == ["first", "first", "third"]


class ADayLater(SystemClock):
    """What is to happen in a day is due in half a second."""

    def now(self) -> Moment:
        now = super().now()
        return now._replace(mono=now.mono - DAY_S + 0.5)


def test_a_look_at_the_brokers_certificate_keeps_the_will_lest_online_stays_where_nobody_is(
    tmp_path: Path, authority: Authority, broker: Broker
) -> None:
    soon = datetime.now(UTC) + timedelta(days=20)
    server = authority.issue("soon", end=f"{soon:%Y%m%d%H%M%SZ}")
    Looked(tmp_path, authority)
    with (
        tls_front(broker.port, server) as port,
        Listener(f"mqtts://localhost:{port}", tmp_path, clock=ADayLater(), **OPTIONS) as wire,
    ):
        up = wire.up()
        wire.wire.publish(up.connection, 1, Publication(f"{ROOT}/status", b"online", retain=True))
        assert wire.next() == Landed(up.connection, 1, 0, "Success")
        assert wire.down().what == BROKER_EXPIRES.what
        until(lambda: broker.retained()[f"{ROOT}/status"] == b"lost")
        wire.up()


def drained(wire: Listener) -> list[CertificatesRead]:
    found = []
    while True:
        try:
            found.append(wire.certificates.get_nowait())
        except Empty:
            return found


def test_a_second_broker_without_tls_is_not_left_because_of_files_that_it_does_not_need(
    tmp_path: Path, authority: Authority, broker: Broker
) -> None:
    scene = Looked(tmp_path, authority)
    server = authority.issue("server")

    def hang_up(one: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server.cert, server.key)
        context.wrap_socket(one, server_side=True).close()

    with raw_server(hang_up) as port:
        urls = (f"mqtts://localhost:{port}", f"mqtt://127.0.0.1:{broker.port}")
        with Listener(urls, tmp_path, patience={"look_s": 0.02}, **OPTIONS) as wire:
            wire.up_after_failures()
            scene.put(authority.issue("unneeded"))
            with pytest.raises(Empty):
                wire.next(0.5)
