"""What is said when TLS fails: against servers with each kind of wrong certificate, and brokers that refuse ours."""

from __future__ import annotations

import socket
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mosquitto import mosquitto
from test_mqtt_wire import Listener, raw_server
from tls_scene import Authority, Pair, openssl
from uplink_scene import running, until

from gateway.model import Moment, TimePassed, Trust
from gateway.release import BUILD_TS
from gateway.uplink import handshake
from gateway.uplink.address import Endpoint
from gateway.uplink.certificates import Validity
from gateway.uplink.handshake import Known
from gateway.uplink.wire import Down

DAY_MS = 86_400_000
NOW = max(round(time.time() * 1000), BUILD_TS + DAY_MS)
MINUTE_ONE = 60_000


def minute(ts: int) -> str:
    return f"{datetime.fromtimestamp(ts / 1000, UTC):%Y-%m-%d %H:%M} UTC"


class Clock:
    """Shows what the test wants."""

    def __init__(self, ts: int, trust: Trust) -> None:
        self.shown = Moment(0.0, ts, trust)

    def mono(self) -> float:
        return 0.0

    def now(self) -> Moment:
        return self.shown


SYNCED = Clock(NOW, Trust.SYNCED)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def told(
    authority: Authority, pair: Pair, clock: Clock = SYNCED, passed: int = 0, folder: Path | None = None, **options: Any
) -> Down:
    """What is said about a server with this certificate; it never gets a byte of MQTT."""
    got: list[bytes] = []

    def serve(one: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        with context.wrap_socket(one, server_side=True) as secure:
            got.append(secure.recv(1000))

    with raw_server(serve) as port:
        url = f"mqtts://localhost:{port}"
        listener = Listener(url, folder or authority.folder, clock=clock, **({"ca_file": "ca.pem"} | options))
        listener.wire.has_passed(passed)
        with listener as wire:
            down = wire.down()
    assert not any(got)
    return down


def test_a_wrong_name_and_an_unknown_ca_have_words_of_their_own(authority: Authority, tmp_path: Path) -> None:
    wrong = told(authority, authority.issue("wrong", "DNS:mqtt.example.com"))
    assert (wrong.what, wrong.hint) == (
        "the broker's certificate is for another host name",
        "Use the name that stands in it (SAN) in url",
    )
    unknown = told(authority, Authority(tmp_path / "other", "Other").issue("unknown"))
    assert (unknown.what, unknown.hint) == (
        "the broker's certificate is signed by a CA that is not known here",
        "Set ca_file to the certificate of the CA that signed it",
    )


def test_an_expired_certificate_is_the_brokers_fault_if_the_clock_is_synchronised(authority: Authority) -> None:
    down = told(authority, authority.issue("expired", end="20210101000000Z"))
    assert down.what == "the broker's certificate has expired"
    assert down.hint == (
        f"Have it renewed by whoever runs the broker; this machine's clock shows {minute(NOW)} and is synchronised"
    )


def test_an_expired_certificate_may_be_the_clocks_fault_if_that_is_not_synchronised(authority: Authority) -> None:
    down = told(authority, authority.issue("expired-2", end="20210101000000Z"), Clock(NOW, Trust.RTC))
    assert f"or the clock is ahead: this machine's clock shows {minute(NOW)} and is not synchronised" in down.hint


def test_an_expired_ca_is_told_from_an_expired_broker(tmp_path: Path) -> None:
    old = Authority(tmp_path / "old", "Old CA")
    dates = ("-startdate", "20200101000000Z", "-enddate", "20210101000000Z")
    (tmp_path / "v3").write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n")
    request = ("req", "-new", "-key", old.ca.key, "-out", tmp_path / "csr", "-subj", "/CN=Old CA")
    openssl(*request)
    signer = ("-config", old.folder / "ca.cnf", "-selfsign", "-keyfile", old.ca.key, "-extfile", tmp_path / "v3")
    openssl("ca", "-batch", "-notext", *signer, *dates, "-in", tmp_path / "csr", "-out", old.ca.cert)
    down = told(old, old.issue("good"))
    assert down.what == "a CA certificate in ca_file (Old CA) has expired: it was valid until 2021-01-01 00:00 UTC"
    assert "ca_file" in down.hint


def test_a_clock_below_the_floor_is_named_with_what_it_shows_and_the_floor(authority: Authority) -> None:
    early = authority.issue("early", begin="20900101000000Z")
    down = told(authority, early, Clock(MINUTE_ONE, Trust.UNSYNCED))
    assert down.what == "the broker's certificate is not valid yet"
    assert down.hint.startswith(
        "This machine's clock is wrong: it shows 1970-01-01 00:01 UTC, and 2026-11-21 00:00 UTC has passed for certain."
    )
    assert "NTP" in down.hint
    assert "hardware clock" in down.hint


def test_the_last_trusted_time_of_the_journal_raises_the_floor(authority: Authority) -> None:
    early = authority.issue("early-2", begin="20900101000000Z")
    shown = Clock(BUILD_TS + MINUTE_ONE, Trust.UNSYNCED)
    assert "probably behind" in told(authority, early, shown).hint
    assert f"{minute(NOW)} has passed for certain" in told(authority, early, shown, passed=NOW).hint


def test_the_hubs_word_on_the_time_reaches_the_wire() -> None:
    with running("mqtts://localhost:1", ca_file="nothing") as scene:
        scene.sender.post(TimePassed(NOW))
        until(lambda: scene.wire._floor_ts == NOW)


def test_with_a_synchronised_clock_a_certificate_of_the_future_is_the_certificates_fault(authority: Authority) -> None:
    down = told(authority, authority.issue("early-3", begin="20900101000000Z"))
    assert "probably behind" not in down.hint
    assert f"this machine's clock shows {minute(NOW)} and is synchronised" in down.hint


# ---------------------------------------------------------------- a broker that does not accept our certificate


@pytest.mark.mosquitto
def test_mosquitto_says_what_it_has_against_our_certificate(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger", "Stranger")
    own = {
        "good": authority.issue("good"),
        "expired": authority.issue("expired-own", end="20210101000000Z"),
        "early": authority.issue("early-own", begin="20900101000000Z"),
        "stranger": stranger.issue("stranger"),
        "revoked": authority.issue("revoked"),
    }
    signer = ("-config", authority.folder / "ca.cnf", "-cert", authority.ca.cert, "-keyfile", authority.ca.key)
    openssl("ca", *signer, "-revoke", own["revoked"].cert)
    revoked = tmp_path / "crl.pem"
    openssl("ca", *signer, "-gencrl", "-crldays", "9", "-out", revoked)
    pair = authority.issue("broker")
    lines = (f"cafile {authority.ca.cert}", f"certfile {pair.cert}", f"keyfile {pair.key}", "require_certificate true")
    more = ("use_identity_as_username true", "allow_anonymous false", f"crlfile {revoked}")
    expected = {
        "expired": ("says that our certificate (expired-own) has expired", "valid until 2021-01-01 00:00 UTC"),
        "early": ("does not accept our certificate (early-own), which is valid from 2090-01-01 00:00 UTC on", "clock"),
        "stranger": ("does not know the CA that signed our certificate (stranger)", "cafile"),
        "revoked": ("says that our certificate (revoked) is revoked", "another one"),
    }
    with mosquitto(tmp_path / "m", *lines, *more) as broker:
        url = f"mqtts://localhost:{broker.port}"
        for name, (what, hint) in expected.items():
            files = {"cert_file": str(own[name].cert), "key_file": str(own[name].key)}
            with Listener(url, authority.folder, ca_file="ca.pem", clock=SYNCED, **files) as wire:
                down = wire.down()
            assert what in down.what
            assert hint in down.hint
        with Listener(url, authority.folder, ca_file="ca.pem", clock=SYNCED) as wire:
            assert "asks for a certificate of ours" in wire.down().what
        files = {"cert_file": str(own["good"].cert), "key_file": str(own["good"].key)}
        with Listener(url, authority.folder, ca_file="ca.pem", clock=SYNCED, **files) as wire:
            wire.up()


@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_a_broker_has_against_our_certificate_is_told_whenever_it_says_so(
    authority: Authority, version: ssl.TLSVersion, scheme: str
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    pair, old = authority.issue("server"), authority.issue("old", end="20210101000000Z")
    context.load_cert_chain(pair.cert, pair.key)
    context.load_verify_locations(authority.ca.cert)
    context.verify_mode = ssl.CERT_REQUIRED

    def refuse(one: socket.socket) -> None:
        with context.wrap_socket(one, server_side=True) as secure:
            secure.recv(1000)

    with raw_server(refuse) as port:
        url = f"{scheme}://localhost:{port}/mqtt" if scheme == "wss" else f"{scheme}://localhost:{port}"
        for _ in range(5):  # the alert, the end and our own first bytes meet in any order
            with Listener(url, authority.folder, ca_file="ca.pem", clock=SYNCED) as wire:
                assert "asks for a certificate of ours" in wire.down().what
            files = {"cert_file": str(old.cert), "key_file": str(old.key)}
            with Listener(url, authority.folder, ca_file="ca.pem", clock=SYNCED, **files) as wire:
                assert "says that our certificate (old) has expired" in wire.down().what


def test_a_broker_whose_clock_is_wrong_is_suspected_where_our_certificate_is_good() -> None:
    error = ssl.SSLError(1, "alert")
    error.reason = "SSLV3_ALERT_CERTIFICATE_EXPIRED"
    own = Validity("gw1", 0, NOW + 1)
    told = handshake.fault(error, Endpoint("h", 8883, tls=True), Known(SYNCED.now(), 0, (own,)))
    assert "Compare the broker's clock" in told.hint
