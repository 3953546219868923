"""The locks: hashed, in step with pyproject.toml and each other, and usable with any index."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parent.parent
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())
RUNTIME = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["build"]]
EXTRAS = PROJECT["project"]["optional-dependencies"]


def of_extra(name: str) -> list[str]:
    """What an extra asks for, with that of the extras in it."""
    parts = map(Requirement, EXTRAS[name])
    others = [other for part in parts if part.name == "sitewarden" for other in part.extras]
    own = [part for part in EXTRAS[name] if Requirement(part).name != "sitewarden"]
    return [*own, *(part for other in others for part in of_extra(other))]


WANTED = {
    "requirements.lock": RUNTIME,
    "requirements-test.lock": [*RUNTIME, *of_extra("test")],
    "requirements-check.lock": [*RUNTIME, *of_extra("check")],
}


def pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (TOP / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", WANTED)
def test_a_lock_meets_what_the_project_asks_for(name: str) -> None:
    locked = pins(name)
    for wanted in map(Requirement, WANTED[name]):
        version = locked.get(canonicalize_name(wanted.name))
        assert version, f"{name} lacks {wanted}: run ./dev lock"
        assert version in wanted.specifier, f"{name} has {wanted.name} {version}, not {wanted}: run ./dev lock"


def test_the_locks_agree() -> None:
    runtime, test, check = map(pins, WANTED)
    assert runtime.items() <= test.items() <= check.items()


def test_the_lock_of_the_gateway_has_no_tools() -> None:
    assert not {"pytest", "hypothesis", "ruff", "mypy"} & pins("requirements.lock").keys()


@pytest.mark.parametrize("name", WANTED)
def test_every_pin_has_hashes_and_no_place(name: str) -> None:
    text = (TOP / name).read_text()
    for pin in re.findall(r"^[a-z0-9-]+==.*?(?=^[a-z0-9-]+==|\Z)", text, re.MULTILINE | re.DOTALL):
        assert "--hash=sha256:" in pin
    assert not re.search(r"://|--(index-url|extra-index-url|find-links)|(^|\s)/\w", text)
