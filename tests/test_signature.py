"""Signed commands: the vectors of RFC 8032, every way to get one wrong, and a counter that is used once."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from test_commanding import ALARM, Slow, ringing
from test_contract import validator
from test_hub import SIREN
from uplink_scene import TS

from gateway.cli import CONFIG, main
from gateway.contract.signed_command import signed_command
from gateway.hub.answered import LONGEST_MS
from gateway.hub.writes import NOT_READY
from gateway.model import Command, Decision, Recovered, Signed, Trust, Write
from gateway.signature import Keys, key_id, public_key, signature
from gateway.uplink.commands import Refusal, Terms, command

VECTORS = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
)
"""Secret key, public key, message, signature. Source: RFC 8032, 7.1, TEST 1 to 3."""

PRIVATE, PUBLIC = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTORS[0][0])), VECTORS[0][1]
GATEWAY = "dc3/gw1"
RELOAD = {"id": "c-1", "name": "reload", "args": {}, "issuer": "maria", "expires": TS}
TERMS = Terms("platform", ("reload", "acknowledge", "set_output"), GATEWAY, Keys([PUBLIC]))


@pytest.mark.parametrize(("_secret", "public", "message", "signed"), VECTORS)
def test_the_vectors_of_the_rfc(_secret: str, public: str, message: str, signed: str) -> None:
    text = bytes.fromhex(message)
    assert Keys([public]).signer(text, bytes.fromhex(signed)) == key_id(bytes.fromhex(public))
    assert not Keys([public]).signer(text + b"x", bytes.fromhex(signed))
    for at in (0, 31, 32, 63):
        wrong = bytearray.fromhex(signed)
        wrong[at] ^= 1
        assert not Keys([public]).signer(text, bytes(wrong))


def test_a_key_is_written_as_base64_in_hex_or_as_pem() -> None:
    raw = bytes.fromhex(PUBLIC)
    pem = PRIVATE.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo).decode()
    for written in (PUBLIC, PUBLIC.upper(), base64.b64encode(raw).decode(), pem, pem.replace("\n", " ")):
        assert public_key(written) == raw


@pytest.mark.parametrize("written", ["", "x", "00" * 31, "AAAA", "-----BEGIN PUBLIC KEY-----", "A" * 44 + "A=="])
def test_what_is_no_key_is_none(written: str) -> None:
    with pytest.raises(ValueError, match=r"key|base64"):
        public_key(written)


def asked(payload: bytes, terms: Terms = TERMS, *, retain: bool = False) -> Command | Refusal:
    return command(payload, retain, terms, print)


def signed(counter: Any = 7, gateway: Any = GATEWAY, key: Ed25519PrivateKey = PRIVATE, **changed: Any) -> bytes:
    return signed_command(key, gateway, RELOAD | changed, counter)


@pytest.mark.promise("signed")
def test_what_the_example_signs_is_taken_and_names_its_key_and_counter() -> None:
    validator("command").validate(json.loads(signed()))
    taken = asked(signed(issuer="Märia"))
    assert isinstance(taken, Command)
    assert taken.signed == Signed(key_id(bytes.fromhex(PUBLIC)), 7)
    assert (taken.id, taken.name, taken.issuer, taken.source) == ("c-1", "reload", "Märia", "platform")


def test_any_of_several_keys_may_have_signed() -> None:
    other = Ed25519PrivateKey.generate()
    both = TERMS._replace(keys=Keys([other.public_key().public_bytes_raw().hex(), PUBLIC]))
    taken = [asked(signed(key=key), both) for key in (PRIVATE, other)]
    assert len({it.signed for it in taken if isinstance(it, Command)}) == 2


def altered(payload: bytes, **changed: Any) -> bytes:
    return json.dumps({**json.loads(payload), **changed}).encode()


@pytest.mark.promise("signed")
@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (json.dumps(RELOAD).encode(), "reload has to be signed: this uplink has a command_key"),
        (json.dumps({**RELOAD, "name": "set_output"}).encode(), "set_output has to be signed"),
        (signed(key=Ed25519PrivateKey.generate()), "its signature is that of no command_key"),
        (altered(signed(), signed=json.loads(signed())["signed"].replace("maria", "marla")), "that of no command_key"),
        (altered(signed(), signed=json.loads(signed())["signed"] + " "), "that of no command_key"),
        (altered(signed(), signature="A" * 86 + "=="), "that of no command_key"),
        (altered(signed(), signature="A" * 20), "no Ed25519 signature"),
        (altered(signed(), signature=5), "no Ed25519 signature"),
        (altered(signed(), signature="ä"), "not base64"),
        (signed(gateway="dc3/gw2"), "it was signed for another gateway than dc3/gw1"),
        (signed(gateway=None), "it was signed for another gateway than dc3/gw1"),
        (signed(counter="7"), "needs counter"),
        (signed(counter=-1), "needs counter"),
        (signed(counter=1.5), "needs counter"),
        (signed(counter=True), "needs counter"),
    ],
)
def test_what_is_not_signed_as_it_has_to_be_is_refused_by_its_id(payload: bytes, why: str) -> None:
    refused = asked(payload)
    assert isinstance(refused, Refusal)
    assert (refused.id, refused.kind) == ("c-1", "signature")
    assert why in refused.why


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (altered(signed(), more=1), "malformed"),
        (altered(signed(), signed=None), "malformed"),
        (altered(signed(), signed="[]"), "malformed"),
        (altered(signed(), signed="[" * 9), "malformed"),
        (json.dumps({"signed": "{}"}).encode(), "malformed"),
        (signed(more=1), "malformed"),
        (signed(name="write_point"), "not_allowed"),
    ],
)
def test_a_signed_command_is_checked_as_any_other(payload: bytes, kind: str) -> None:
    refused = asked(payload)
    assert isinstance(refused, Refusal)
    assert refused.kind == kind
    retained = asked(signed(), retain=True)
    assert isinstance(retained, Refusal)
    assert retained.kind == "retained"


def test_other_commands_may_be_signed_and_then_wrong_is_wrong() -> None:
    plain = json.dumps({**RELOAD, "name": "acknowledge"}).encode()
    assert isinstance(asked(plain), Command)
    assert isinstance(asked(signed(name="acknowledge")), Command)
    assert isinstance(asked(signed(name="acknowledge", key=Ed25519PrivateKey.generate())), Refusal)


def test_without_a_key_nothing_has_to_be_signed_and_what_is_signed_is_not_taken_on_trust() -> None:
    bare = TERMS._replace(keys=None)
    assert isinstance(asked(json.dumps(RELOAD).encode(), bare), Command)
    refused = asked(signed(), bare)
    assert isinstance(refused, Refusal)
    assert refused.why == "this uplink has no command_key to check a signature with"


@given(st.text(max_size=80), st.text(max_size=100))
def test_arbitrary_texts_are_refused_and_never_an_error(text: str, sign: str) -> None:
    assert isinstance(asked(json.dumps({"signed": text, "signature": sign}).encode()), Refusal)
    valid = base64.b64encode(PRIVATE.sign(text.encode("utf-8", "surrogatepass"))).decode()
    assert isinstance(asked(json.dumps({"signed": text, "signature": valid}).encode()), Refusal)
    with pytest.raises(ValueError, match=r"Ed25519|base64"):
        signature(text + "!")


# ---------------------------------------------------------------- the counter


def give(
    hub: Slow, counter: int, id_: str, name: str = "acknowledge", expires: int | None = None, /, **args: Any
) -> Decision:
    """A signed command comes."""
    given = Command(id_, name, args, "ada", "platform", expires, hub.replies.append, Signed("k1", counter))
    return hub.answer(hub.tell(given))


@pytest.mark.promise("signed")
def test_a_counter_is_used_once_and_stored_with_what_the_command_leads_to() -> None:
    hub = ringing()
    decision = give(hub, 10, "c1", alarm=ALARM)
    assert {change.key for change in decision.state} >= {"counter/k1", "command/platform/ada/c1"}
    give(hub, 10, "c2", alarm=ALARM)
    give(hub, 9, "c3", alarm=ALARM)
    assert [reply.detail for reply in hub.replies[1:]] == [
        f"its counter is used up: {counter} is not more than 10, the last one of this key" for counter in (10, 9)
    ]
    assert hub.outcomes()[-1] == ("acknowledge", "refused", 0)
    give(hub, 10, "c1", alarm=ALARM)
    assert hub.replies[-1].result == "done", "a repetition is answered, and not done again"


@pytest.mark.parametrize("trust", [Trust.SYNCED, Trust.UNSYNCED])
def test_after_a_restart_it_is_still_used_up_whatever_the_clock_says(trust: Trust) -> None:
    hub = ringing()
    give(hub, 10, "c1", alarm=ALARM)
    later = Slow(state=hub.stored, trust=trust)
    give(later, 10, "c2", alarm=ALARM)
    assert "used up" in later.replies[0].detail
    give(later, 11, "c3", alarm="nix")
    assert later.replies[1].detail == "there is no alarm 'nix'"
    give(later, 11, "c4", alarm=ALARM)
    assert "used up" in later.replies[2].detail, "one that was refused is taken, too"


def test_below_a_trusted_clock_the_counter_counts_alone_and_above_it_expiry_too() -> None:
    outcomes = {}
    for trust in (Trust.UNSYNCED, Trust.SYNCED):
        hub = Slow(trust=trust)
        hub.read("smoke-1", smoke="alarm")
        give(hub, 1, "c1", "acknowledge", 5, alarm=ALARM)
        outcomes[trust] = (hub.replies[0].result, hub.replies[0].detail)
    assert outcomes[Trust.UNSYNCED][0] == "done"
    assert outcomes[Trust.SYNCED] == ("refused", "expired")


def test_before_it_is_known_what_was_taken_nothing_that_has_to_be_signed_is_done() -> None:
    hub = Slow(recovered=False)
    hub.read("smoke-1", smoke="alarm")
    give(hub, 5, "c1", "set_output", output="siren", value="on", for_s=60, reason="x")
    assert hub.replies[0].detail == NOT_READY
    give(hub, 6, "c2", alarm=ALARM)
    assert hub.replies[1].result == "done", "people do not wait for a disk"
    hub.tell(Recovered("kept", None, {"counter/k1": "4", "counter/k2": "nonsense"}))
    assert hub.stored["counter/k1"] == "6"
    give(hub, 6, "c3", alarm=ALARM)
    assert "used up" in hub.replies[2].detail


@pytest.mark.parametrize(
    ("trust", "value", "ahead_ms", "done"),
    [
        (Trust.SYNCED, "on", 60_000, True),
        (Trust.SYNCED, "off", 60_000, False),
        (Trust.SYNCED, "on", LONGEST_MS + 60_000, False),
        (Trust.SYNCED, "on", -1, False),
        (Trust.UNSYNCED, "on", 60_000, False),
    ],
)
def test_a_siren_waits_for_no_journal_where_the_clock_says_that_the_command_is_new(
    trust: Trust, value: str, ahead_ms: int, done: bool
) -> None:
    hub = Slow(recovered=False, trust=trust)
    expires = hub.now().ts + ahead_ms
    decision = give(hub, 5, "c1", "set_output", expires, output="siren", value=value, for_s=60, reason="people inside")
    assert (decision.writes == (Write(*SIREN, "on"),)) is done
    again = give(hub, 5, "c2", "set_output", expires, output="siren", value=value, for_s=60, reason="people inside")
    assert not again.writes, "its counter is used up, or it was refused before"


def test_what_comes_too_soon_does_not_use_its_counter_up() -> None:
    hub = Slow()
    for number in range(20):
        give(hub, number, f"c{number}", alarm=f"nix-{number}")
    assert "too many" in hub.replies[-1].detail
    hub.mono += 20
    give(hub, 19, "c19", alarm="nix-19")
    assert hub.replies[-1].detail == "there is no alarm 'nix-19'"


# ---------------------------------------------------------------- the library and the configuration

SITE = """
site: {{id: dc3}}
gateway: {{id: gw1}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:1", command_key: {key}}}
links:
  bus1: {{type: serial, port: /dev/ttyUSB0}}
devices:
  cold-1: {{driver: modbus, link: bus1, unit: 1, profile: xy-md02, zone: hall}}
"""

WITHOUT = "import sys; {gone}from gateway.cli import main; code = main(sys.argv[1:]); {after}sys.exit(code)"


def python(source: str, *args: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", source, *args]
    top = Path(__file__).parent.parent
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60, cwd=top)


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_key_without_the_library_refuses_to_start(tmp_path: Path, command: str) -> None:
    config = tmp_path / "site.yaml"
    config.write_text(SITE.format(key=PUBLIC))
    without = WITHOUT.format(gone="sys.modules['cryptography'] = None; ", after="")
    state = ("--state", str(tmp_path / "state")) if command == "run" else ()
    done = python(without, command, str(config), *state)
    assert done.returncode == CONFIG
    assert "site.yaml:5:41: uplinks.platform.command_key: needs a library to check signatures: " in done.stderr
    assert "pip install 'sitewarden[signatures]'" in done.stderr


def test_without_a_key_the_library_is_not_even_imported(tmp_path: Path) -> None:
    config = tmp_path / "site.yaml"
    config.write_text(SITE.format(key=PUBLIC).replace(f", command_key: {PUBLIC}", ""))
    after = "print('cryptography' in sys.modules); "
    done = python(WITHOUT.format(gone="", after=after), "check", str(config))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "False")


def test_a_key_pair_is_made_and_signs_what_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "platform.pem"
    assert main(["command-key", str(file)]) == 0
    assert file.stat().st_mode & 0o777 == 0o600
    public = capsys.readouterr().out.splitlines()[-1].partition("command_key: ")[2]
    line = [sys.executable, "-m", "gateway.contract.signed_command", str(file), GATEWAY, "maria", "reload"]
    top = Path(__file__).parent.parent
    payload = subprocess.run(line, capture_output=True, check=True, timeout=60, cwd=top).stdout
    assert isinstance(asked(payload, TERMS._replace(keys=Keys([public]))), Command)
    assert main(["command-key", str(file)]) != 0, "a key is never overwritten"
    assert "name a new file" in capsys.readouterr().err
