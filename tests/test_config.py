"""A right configuration becomes one typed tree, whatever it is split into and whatever is switched off in it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from config_site import DRIVERS, SITE, THERMO, Meter, loaded, written

import drivers
from gateway.cli.check import summary
from gateway.config.editor import editor_schema
from gateway.config.load import load
from gateway.config.schema import Config, SerialLink
from gateway.config.secrets import Secret, read_secret
from gateway.config.targets import targets
from gateway.config.written import duration_text, seconds, size_bytes, size_text
from gateway.config.yaml_marks import parsed
from gateway.errors import ConfigError
from gateway.hub.plan import plan_of
from gateway.model import Priority
from gateway.rules.responses import OutputPoint, Pulse, Until, Way

EXAMPLES = sorted((Path(__file__).parent.parent / "config").glob("*.yaml"))


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def changed(folder: Path, *edits: tuple[str, str]) -> Config:
    text = SITE
    for old, new in edits:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return loaded(written(folder, text))


def test_every_part_is_typed(tmp_path: Path) -> None:
    config = loaded(written(tmp_path))
    bus, warm = config.links["bus1"], config.rules["warm"]
    assert isinstance(bus, SerialLink)
    assert (bus.baudrate, bus.parity, bus.timeout) == (9600, "none", None)
    assert (config.storage.commit_every, config.storage.max_size) == (1.0, 2_000_000_000)
    assert (warm.above, warm.clear_below, warm.for_, warm.priority) == (-15.0, -16.0, 600.0, Priority.HIGH)
    assert (config.rules["smoke"].equals, config.rules["smoke"].latch) == ("alarm", True)
    assert config.responses["evacuate"].set == {"siren": "on"}
    assert config.folder == str(tmp_path)
    assert config.off == ()


SOUNDING = (
    "set: {siren: on}, pulse: {siren: [3s, 1s]}, at_most: {siren: 10m}, audible: [siren], until: acknowledged, "
    "tell: [shift leader], say: {en: Leave, zh: 请离开}"
)


def test_a_response_becomes_what_the_hub_does(tmp_path: Path) -> None:
    config = changed(
        tmp_path,
        ("{id: dc3,", "{id: dc3, languages: [zh, en],"),
        ("set: {siren: on}, say: Leave by the nearest exit", SOUNDING),
    )
    siren = OutputPoint("gpio", "siren", "output")
    way = Way("on", Pulse(3.0, 1.0), 600.0, audible=True)
    planned = plan_of(config, "r").responses["evacuate"]
    assert planned.outputs == {siren: way}
    assert (planned.say, planned.say_in, planned.tell) == ("请离开", {"en": "Leave"}, ("shift leader",))
    assert planned.until is Until.ACKNOWLEDGED
    assert any("3s on, 1s off, 10m at most, sounds" in line for line in summary(config))


def test_a_rule_without_a_response_has_that_of_its_priority(tmp_path: Path) -> None:
    by_priority = "responses_by_priority: {high: evacuate}\nresponses:\n  nothing: {}\n"
    rules = dict(plan_rules(changed(tmp_path, ("responses:\n", by_priority))))
    assert rules == {"warm": "evacuate", "smoke": "evacuate", "smoke-1-smoke-fault": None}
    own = changed(tmp_path, ("responses:\n", by_priority), ("priority: high", "priority: high, response: nothing"))
    assert dict(plan_rules(own)) == {"warm": "nothing", "smoke": "evacuate", "smoke-1-smoke-fault": None}


def plan_rules(config: Config) -> Iterator[tuple[str, str | None]]:
    return ((rule.id, rule.response) for rule, _ in plan_of(config, "r").rules)


def test_a_device_has_defaults_of_its_own_and_of_its_driver(tmp_path: Path) -> None:
    devices = loaded(written(tmp_path)).devices
    assert {name: device.every for name, device in devices.items()} == {
        "cold-1": 10.0,
        "smoke-1": 2.0,
        "siren": 2.0,
        "gps-1": 1.0,
    }
    assert devices["cold-1"].name == "cold-1"


def test_a_driver_gets_its_options_as_it_declared_them(tmp_path: Path) -> None:
    config = changed(tmp_path, ("unit: 1", "unit: 7, gap: 200ms, settle: 2s, skip: [humidity], order: low"))
    meter = config.devices["cold-1"].built
    assert isinstance(meter, Meter)
    told = meter.told
    assert (told.unit, told.gap, told.settle, told.skip, told.order) == (7, 0.2, 2.0, ("humidity",), "low")
    assert told.profile.points["temperature"].scale == 0.1


def test_words_and_numbers_mean_what_they_look_like() -> None:
    text = "{a: on, b: no, c: 22:00, d: 010, e: true, f: 1_000, g: 0x1F, h: '5', i: , j: 2026-11-22, k: 1e3, on: y}"
    assert parsed(text.encode(), "f", "").value == {
        "a": "on",
        "b": "no",
        "c": "22:00",
        "d": 10,
        "e": True,
        "f": "1_000",
        "g": 31,
        "h": "5",
        "i": None,
        "j": "2026-11-22",
        "k": 1000.0,
        "on": "y",
    }


def test_anchors_can_be_used(tmp_path: Path) -> None:
    config = changed(tmp_path, ("clear_below: -16, for: 10m", "for: &wait 10m, clear_for: *wait"))
    assert config.rules["warm"].clear_for == 600.0


def test_empty_sections_are_no_mistake(tmp_path: Path) -> None:
    text = SITE.split("rules:", maxsplit=1)[0] + "rules:\nresponses:\n"
    config = loaded(written(tmp_path, text.replace('  platform: {url: "mqtts://mqtt.example.com:8883"}\n', "")))
    assert list(config.rules) == ["smoke-1-smoke-fault", "smoke-1-smoke-alarm"]  # which smoke brings along


@pytest.mark.parametrize(
    ("text", "value"), [("200ms", 0.2), ("10s", 10.0), ("5m", 300.0), ("2h", 7200.0), ("7d", 604800.0)]
)
def test_durations_are_written_as_they_are_read(text: str, value: float) -> None:
    assert seconds(text) == value
    assert duration_text(value) == text


@pytest.mark.parametrize(("text", "value"), [("64kB", 64_000), ("500MB", 500_000_000), ("2GB", 2_000_000_000)])
def test_sizes_are_written_as_they_are_read(text: str, value: int) -> None:
    assert size_bytes(text) == value
    assert size_text(value) == text


# ---------------------------------------------------------------- what is off


def test_what_hangs_on_something_disabled_is_left_out_and_named(tmp_path: Path) -> None:
    config = changed(
        tmp_path,
        ("{type: gpio}", "{type: gpio, enabled: false}"),
        ("zone: cold/room-1", "zone: cold/room-1, enabled: false"),
        ('8883"}', '8883", enabled: false}'),
    )
    assert list(config.devices) == ["gps-1"]
    assert (list(config.links), config.uplinks, config.rules) == (["bus1", "gps"], {}, {})
    assert config.responses["evacuate"].set == {}
    assert config.off == (
        "uplink platform",
        "link gpio",
        "device cold-1",
        "device smoke-1 (its link gpio is off)",
        "device siren (its link gpio is off)",
        "rule warm (its devices are off)",
        "rule smoke (its devices are off)",
        "rule smoke-1-smoke-fault (its devices are off)",
        "output siren in response evacuate (its device is off)",
    )


def test_a_disabled_device_is_checked_but_in_nobodys_way(tmp_path: Path) -> None:
    spare = "  spare: {driver: meter, link: bus1, unit: 1, profile: thermo, zone: cold/room-1, enabled: false}\nrules:"
    assert "spare" not in changed(tmp_path, ("rules:", spare)).devices
    with pytest.raises(ConfigError, match=r"devices\.spare\.link: there is no link 'bus9'"):
        changed(tmp_path, ("rules:", spare.replace("bus1", "bus9")))


def test_a_rule_on_a_kind_covers_the_zone_and_the_zones_in_it(tmp_path: Path) -> None:
    for zone in ("cold", "cold/room-1"):
        config = changed(tmp_path, ("point: cold-1.temperature", f"kind: temperature, zone: {zone}"))
        assert [device for device, _ in targets(config.rules["warm"], config.devices)] == ["cold-1"]
    with pytest.raises(ConfigError, match="no device is in zone 'col'"):
        changed(tmp_path, ("point: cold-1.temperature", "kind: temperature, zone: col"))


# ---------------------------------------------------------------- files, folders, overrides


def test_a_folder_gives_the_same_as_one_file(tmp_path: Path) -> None:
    whole = loaded(written(tmp_path))
    folder = tmp_path / "folder"
    folder.mkdir()
    head, _, rest = SITE.partition("devices:\n")
    first, *others = rest.splitlines(keepends=True)
    written(folder, head + "devices:\n" + first, name="10-site.yaml")
    (folder / "20-more.yaml").write_text("devices:\n" + "".join(others), encoding="utf-8")
    (folder / ".#20-more.yaml").write_text("not: mine", encoding="utf-8")
    parts = loaded(folder)
    assert replace(parts, folder="", devices={}) == replace(whole, folder="", devices={})
    assert parts.folder == str(folder)


def test_values_set_from_outside_replace_and_add(tmp_path: Path) -> None:
    config = loaded(
        written(tmp_path),
        {
            ("links", "bus1", "port"): "/dev/pts/7",
            ("uplinks", "second"): {"url": "mqtt://127.0.0.1:1883", "username": "me"},
            ("links", "gps"): {"type": "tcp", "host": "::1", "port": 2947},
        },
    )
    assert getattr(config.links["bus1"], "port", "") == "/dev/pts/7"
    assert getattr(config.links["gps"], "host", "") == "::1"
    assert config.uplinks["second"].username == "me"


def test_the_hash_names_the_contents_and_nothing_else(tmp_path: Path) -> None:
    plain = loaded(written(tmp_path)).hash
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    same = SITE.replace("{type: gpio}", "\n    type: gpio  # the header").replace("for: 10m", 'for: "600s"')
    assert loaded(written(elsewhere, same)).hash == plain
    others = [
        loaded(written(tmp_path), {("links", "bus1", "port"): "/dev/pts/7"}).hash,
        loaded(written(tmp_path, thermo=THERMO.replace("0.1", "0.2"))).hash,
        changed(tmp_path, ("unit: 1", "unit: 2")).hash,
        changed(tmp_path, ("latch: true", "latch: false")).hash,
        changed(tmp_path, ("zone: truck", "zone: truck, enabled: false")).hash,
    ]
    assert len({plain, *others}) == 6
    assert len(plain) == 16


def test_the_users_own_profile_comes_first(tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    ours.mkdir()
    (ours / "thermo.yaml").write_text(THERMO.replace("Thermo 1", "ours"), encoding="utf-8")
    (ours / "other.yaml").write_text(THERMO.replace("Thermo 1", "other"), encoding="utf-8")
    for name, model in (("thermo", "Thermo 1"), ("other", "other")):
        path = written(tmp_path, SITE.replace("profile: thermo", f"profile: {name}"))
        meter = load(path, find_driver=DRIVERS.__getitem__, profile_folders=(ours,)).devices["cold-1"].built
        assert isinstance(meter, Meter)
        assert meter.told.profile.model == model


# ---------------------------------------------------------------- secrets


def private(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret("hunter2")
    assert {str(secret), repr(secret), f"{secret}", f"{secret:>40}", f"{[secret]}"[1:-1]} == {"***"}
    assert secret.reveal() == "hunter2"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_a_secret_is_read_without_its_last_line_end(tmp_path: Path) -> None:
    for written_, read in (("pass word\n", "pass word"), ("pw\r\n", "pw"), ("pw\n\n", "pw\n"), ("pw", "pw")):
        private(tmp_path / "pw", written_)
        assert read_secret("pw", tmp_path).reveal() == read
        assert read_secret(str(tmp_path / "pw"), Path("/")).reveal() == read


def test_a_credential_of_systemd_comes_first_whatever_its_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    private(tmp_path / "pw", "from the folder")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert read_secret("pw", tmp_path).reveal() == "from the folder"
    (credentials / "pw").write_text("from systemd", encoding="utf-8")
    (credentials / "pw").chmod(0o440)
    assert read_secret("pw", tmp_path).reveal() == "from systemd"
    assert read_secret(str(credentials / "pw"), tmp_path).reveal() == "from systemd"


def test_one_address_may_stand_alone_and_several_in_a_list(tmp_path: Path) -> None:
    alone = changed(tmp_path).uplinks["platform"]
    several = changed(
        tmp_path, ('"mqtts://mqtt.example.com:8883"', '["wss://a.example.com", "mqtt://b.example.com:1883"]')
    ).uplinks["platform"]
    assert alone.url == ("mqtts://mqtt.example.com:8883",)
    assert several.url == ("wss://a.example.com", "mqtt://b.example.com:1883")


def test_files_of_an_uplink_get_whole_names(tmp_path: Path) -> None:
    for name in ("pw", "ca.pem", "own.pem", "own.key"):
        private(tmp_path / name, "x")
    files = "password_file: pw, ca_file: ca.pem, cert_file: own.pem, key_file: own.key"
    uplink = changed(tmp_path, ('8883"}', f'8883", username: gw1, {files}}}')).uplinks["platform"]
    assert (uplink.password_file, uplink.ca_file) == (str(tmp_path / "pw"), str(tmp_path / "ca.pem"))
    assert (uplink.cert_file, uplink.key_file) == (str(tmp_path / "own.pem"), str(tmp_path / "own.key"))
    (tmp_path / "own.key").chmod(0o644)
    with pytest.raises(ConfigError, match=r"key_file: its file can be read by others; chmod 600 it"):
        changed(tmp_path, ('8883"}', f'8883", username: gw1, {files}}}'))


# ---------------------------------------------------------------- examples, and the schema for editors


def real(path: Path) -> Config:
    return load(path, find_driver=drivers.find, profile_folders=(drivers.profile_folder(),))


def real_schema() -> dict[str, object]:
    return editor_schema({name: drivers.find(name) for name in drivers.names()})


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_every_example_can_be_run_as_it_stands(path: Path) -> None:
    config = real(path)
    assert config.devices
    assert config.rules
    for rule in config.rules.values():
        assert targets(rule, config.devices)


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_editor_finds_nothing_wrong_with_an_example(path: Path) -> None:
    jsonschema.Draft202012Validator(real_schema()).validate(parsed(path.read_bytes(), path.name, "").value)


def test_an_editor_finds_what_one_value_can_tell() -> None:
    validator = jsonschema.Draft202012Validator(editor_schema(DRIVERS))
    jsonschema.Draft202012Validator.check_schema(validator.schema)
    assert validator.is_valid(parsed(SITE.encode(), "f", "").value)
    for old, new in (
        ("baudrate: 9600", "baud: 9600"),
        ("baudrate: 9600", "baudrate: '9600'"),
        ("baudrate: 9600", "timeout: 10"),
        ("type: serial", "type: seriel"),
        ("unit: 1", "unti: 1"),
        ("unit: 1", "unit: 1, gap: 5"),
        ("driver: meter", "driver: metre"),
        ("zone: truck, ", ""),
        ("for: 10m", "for: 10"),
        ("for: 10m", "for_: 10m"),
        ("priority: high", "priority: urgent"),
        ("warm:", "Warm Room:"),
        ("rules:", "ruels:"),
        ('"mqtts://mqtt.example.com:8883"', "[]"),
        ('"mqtts://mqtt.example.com:8883"', "8883"),
    ):
        assert SITE.count(old) == 1
        assert not validator.is_valid(parsed(SITE.replace(old, new).encode(), "f", "").value), new


def test_the_schema_says_what_each_key_is_for_and_what_is_there_without_it() -> None:
    schema = json.loads(json.dumps(real_schema()))
    storage = schema["properties"]["storage"]["properties"]
    assert (storage["commit_every"]["default"], storage["max_size"]["default"]) == ("1s", "1GB")
    assert all("description" in key for key in storage.values())
    devices = schema["properties"]["devices"]["additionalProperties"]["oneOf"]
    assert all("description" in key for device in devices for key in device["properties"].values())
    contact = next(it for it in devices if it["properties"]["driver"]["const"] == "contact")
    assert contact["properties"]["hold"]["default"] == "20ms"
    assert contact["required"] == ["driver", "link", "zone", "pin"]
