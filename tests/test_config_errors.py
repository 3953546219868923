"""Each way a configuration can be wrong has its own words: place, what is wrong, what would be right."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from config_site import SITE, THERMO, Meter, loaded, written
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config.load import load
from gateway.config.yaml_marks import MAX_BYTES
from gateway.errors import ConfigError

TABLE = Path(__file__).parent / "config" / "errors.txt"
BEGIN = "`sitewarden init` writes one to start from"


class Case(NamedTuple):
    old: str
    new: str
    file: str | None
    profile: str | None
    told: list[str]


def cases() -> Iterator[Case]:
    """The blocks of the table; its head says how they are written."""
    for block in TABLE.read_text(encoding="utf-8").split("\n\n")[1:]:
        lines = block.rstrip("\n").split("\n")
        old = "\n".join(line[2:] for line in lines if line.startswith("- "))
        new = "\n".join(line[2:] for line in lines if line.startswith("+ "))
        files = [json.loads(line[2:]) for line in lines if line.startswith("= ")]
        profiles = [json.loads(line[4:]) for line in lines if line.startswith("p = ")]
        told = [line for line in lines if not line.startswith(("- ", "+ ", "= ", "p = "))]
        yield Case(old, new, next(iter(files), None), next(iter(profiles), None), told)


CASES = list(cases())


def problems(path: Path, overrides: Mapping[tuple[str, ...], object] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(path, overrides)
    return list(caught.value.problems)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.mark.parametrize("case", CASES, ids=[repr(case.new or case.file or case.profile)[:50] for case in CASES])
def test_every_mistake_is_told_with_its_place_and_remedy(case: Case) -> None:
    text = SITE if case.file is None else case.file
    if case.old:
        assert SITE.count(case.old) == 1
        text = SITE.replace(case.old, case.new)
    path = written(Path(), text, thermo=THERMO if case.profile is None else case.profile)
    assert [told.removeprefix("site.yaml:").strip() for told in problems(path)] == case.told


def test_the_table_is_large_and_no_two_mistakes_are_the_same() -> None:
    assert len(CASES) == len({case[:4] for case in CASES})
    assert len({told for case in CASES for told in case.told}) > 100


def test_all_mistakes_are_told_at_once_in_the_order_of_lines() -> None:
    text = SITE.replace("dc3", "DC3").replace("9600", "fast").replace("pin: 22", "pin: 17").replace("15,", "x,")
    assert [told.split(" ")[0] for told in problems(written(Path(), text))] == [
        "site.yaml:1:12:",
        "site.yaml:7:54:",
        "site.yaml:13:37:",
        "site.yaml:16:44:",
    ]


def test_a_broken_part_makes_no_noise_where_others_refer_to_it() -> None:
    text = SITE.replace("link: bus1, unit: 1", "link: bus1, unit: x").replace("{type: gpio}", "{type: gpoi}")
    assert [told.split(" ")[1] for told in problems(written(Path(), text))] == [
        "links.gpio.type:",
        "devices.cold-1.unit:",
    ]


def test_a_long_list_of_mistakes_is_cut() -> None:
    text = SITE + "".join(f"x{number}: 1\n" for number in range(300))
    told = problems(written(Path(), text))
    assert len(told) == 201
    assert told[-1] == "and 100 more problems"


def test_a_missing_file_or_an_empty_folder_is_told() -> None:
    assert problems(Path("none.yaml")) == [f"none.yaml: there is no such file; {BEGIN}"]
    Path("empty").mkdir()
    assert problems(Path("empty")) == [f"empty: there is no *.yaml file in this folder; {BEGIN}"]
    assert problems(Path("/dev/null")) == [f"/dev/null: this is no file; {BEGIN}"]


def test_a_file_that_is_no_text_or_too_large_is_told() -> None:
    Path("a.yaml").write_bytes(b"site: {id: a}\n# gr\xfc\xdfe")
    assert problems(Path("a.yaml")) == ["a.yaml:2:5: not UTF-8 text; save the file as UTF-8"]
    Path("b.yaml").write_bytes(b"#" * MAX_BYTES + b"\n")
    assert problems(Path("b.yaml")) == ["b.yaml: the file is larger than 1 MB; is it a configuration?"]


def test_deep_nesting_and_alias_bombs_are_refused_at_once() -> None:
    deep = "more than 24 levels deep; a configuration needs eight at most"
    for opening in ("[", "{a: ", "- ", "? "):
        told = problems(written(Path(), "a:\n  " + opening * 2000))
        assert told == [f"site.yaml:2:{told[0].split(':')[2]}: maps or lists {deep}"]
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))
    assert problems(written(Path(), bomb))[0].endswith("more than 50000 values; do aliases (*name) multiply them?")


def test_no_secret_is_ever_echoed() -> None:
    for wrong in (
        "password: hunter2",
        "password_file: hunter2",
        "password_file: [hunter2]",
        "password_file: {a: hunter2}",
        "password_file: *hunter2",
        "password_file: !hunter2!x y",
        'url: "mqtts://gw1:hunter2@mqtt.example.com:8883"',
        'url: "hunter2://x"',
        'url: "mqtts://mqtt.example.com:hunter2"',
    ):
        told = problems(written(Path(), SITE.replace('url: "mqtts://mqtt.example.com:8883"', wrong)))
        assert "hunter2" not in "\n".join(told), wrong
    for wrong in ("token: [hunter2]", "token: 12345678", "api_token: hunter2", "token: !!int hunter2"):
        told = problems(written(Path(), SITE.replace("unit: 1", f"unit: 1, {wrong}")))
        assert "hunter2" not in "\n".join(told), wrong
        assert "12345678" not in "\n".join(told), wrong


def test_a_password_file_taken_for_a_configuration_is_not_echoed() -> None:
    told = problems(written(Path(), "hunter2\n"))
    assert told == ["site.yaml:1:1: this is no configuration, which begins with `site:`; check the file's name"]


def test_what_is_echoed_is_short_and_stays_on_its_line() -> None:
    for wrong in ("x" * 5000, r"\n" * 3000, r"\u001b[31m" * 100, "ä€😀" * 500):
        for text in (f'parity: "{wrong}"', f'"{wrong}": 1'):
            for told in problems(written(Path(), SITE.replace("baudrate: 9600", text))):
                assert len(told) < 300
                assert told.isprintable()


def test_a_folder_tells_both_places_of_a_key_that_two_files_have() -> None:
    written(Path(), SITE, name="a.yaml")
    Path("b.yaml").write_text(
        "site: {id: other}\ndevices:\n  cold-1: {driver: none}\n  more: {}\nrules:\n", encoding="utf-8"
    )
    Path("c.yml").write_text("site:\n", encoding="utf-8")
    assert [told for told in problems(Path()) if "more" not in told] == [
        "b.yaml:1:1: site: this key is also at a.yaml:1:1; keep one of the two",
        "b.yaml:3:3: devices.cold-1: this key is also at a.yaml:11:3; keep one of the two",
        "c.yml: only *.yaml is read; rename it to c.yaml",
    ]


def test_a_value_set_from_outside_is_told_as_such() -> None:
    path = written(Path())
    assert problems(path, {("links", "bus1", "baudrate"): "fast", ("gatewy", "key"): 1}) == [
        "--set gatewy.key: gatewy: unknown key; did you mean gateway?",
        "--set links.bus1.baudrate: links.bus1.baudrate: must be a whole number, not 'fast'",
    ]
    assert problems(path, {("site", "id", "x"): 1}) == [
        "--set site.id.x: site.id.x: cannot be set: what is around it is no map"
    ]


@pytest.mark.parametrize(
    ("name", "content", "mode", "told"),
    [
        ("open", "secret", 0o640, "its file can be read by others; chmod 600 it"),
        ("large", "s" * 5000, 0o600, "its file is larger than 4096 bytes; put the secret alone into it"),
        ("empty", "\n", 0o600, "its file is empty; put the secret alone into it"),
        (".", "", 0o700, "this is no file; give the name of a file"),
    ],
)
def test_a_password_file_that_cannot_be_used_is_told(name: str, content: str, mode: int, told: str) -> None:
    if content:
        Path(name).write_text(content, encoding="utf-8")
        Path(name).chmod(mode)
    text = SITE.replace('8883"', f'8883", password_file: {name}')
    assert problems(written(Path(), text)) == [f"site.yaml:5:67: uplinks.platform.password_file: {told}"]


def test_a_driver_that_refuses_to_be_found_is_told_in_its_own_words() -> None:
    def find(name: str) -> type[Meter]:
        raise LookupError(f"driver {name} is registered and cannot be imported")

    with pytest.raises(ConfigError) as caught:
        load(written(Path(), SITE), find_driver=find, profile_folders=())
    assert caught.value.problems[0] == (
        "site.yaml:11:20: devices.cold-1.driver: driver meter is registered and cannot be imported"
    )


# ---------------------------------------------------------------- the law: a configuration or a ConfigError

FAST = settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["10s", "cold-1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PLACES = [  # "." leads on from the line's first word
    tuple(f"{line.split()[0]}{step}".split("."))
    for line in (
        "site .id .timezone",
        "gateway .id",
        "storage .max_size .commit_every",
        "uplinks .platform .platform.url .platform.proxy .platform.ca_file .platform.password_file .platform.commands",
        "links .bus1 .bus1.type .bus1.port .gps.host",
        "devices .cold-1 .cold-1.driver .cold-1.link .cold-1.profile .cold-1.zone .cold-1.unit .cold-1.every",
        "devices .cold-1.skip .cold-1.names .cold-1.settle .cold-1.order",
        "rules .warm .warm.point .warm.kind .warm.zone .warm.outside .warm.equals .warm.silent_for .warm.for",
        "responses .evacuate .evacuate.set",
        "other",
    )
    for step in ["", *line.split()[1:]]
]
PIECES = st.sampled_from(
    [*"\n\t\0\\{}[]!'\"#~é\ud800", "  ", "- ", ": ", "? ", "&a ", "*a", "!!int ", "|\n", "---\n", "<<: "]
)


def check_law(path: Path, overrides: Mapping[tuple[str, ...], object] | None = None) -> None:
    with contextlib.suppress(ConfigError):
        loaded(path, overrides)


@FAST
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_give_a_configuration_or_a_config_error(data: bytes) -> None:
    Path("any.yaml").write_bytes(data)
    check_law(Path("any.yaml"))


@FAST
@given(st.lists(st.tuples(st.integers(0, len(SITE)), st.integers(0, 12), PIECES), min_size=1, max_size=4))
def test_any_damage_to_a_file_gives_a_configuration_or_a_config_error(damage: list[tuple[int, int, str]]) -> None:
    text = SITE
    for at, cut, piece in damage:
        text = text[:at] + piece + text[at + cut :]
    written(Path(), SITE)
    Path("damaged.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    check_law(Path("damaged.yaml"))


@FAST
@given(st.dictionaries(st.sampled_from(PLACES), PLAIN, min_size=1, max_size=3))
def test_any_tree_gives_a_configuration_or_a_config_error(overrides: dict[tuple[str, ...], object]) -> None:
    check_law(written(Path()), overrides)


@FAST
@given(PLAIN)
def test_any_profile_gives_a_configuration_or_a_config_error(sheet: object) -> None:
    check_law(written(Path(), thermo=json.dumps(sheet)))
    check_law(written(Path(), thermo=json.dumps({"model": "x", "points": sheet})))
    check_law(written(Path(), thermo=json.dumps({"model": "x", "points": {"t": sheet}})))
