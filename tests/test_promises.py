"""Each promise of the contract has a test that names it, and no test names one that is not there."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PROMISES: dict[str, str] = json.loads((TESTS.parent / "gateway" / "contract" / "promises.json").read_text())
PAGE = (TESTS.parent / "gateway" / "contract" / "README.md").read_text()


def named(source: str) -> Iterator[tuple[str, str]]:
    """The promises that tests name: (id, test)."""
    if "mark.promise" not in source:  # quick to tell, and true of most
        return
    for node in ast.walk(ast.parse(source)):
        for decorator in getattr(node, "decorator_list", ()):
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.promise":
                name = getattr(node, "name", "")
                assert name.startswith("test_"), f"{name} is no test"
                (promise,) = decorator.args
                assert isinstance(promise, ast.Constant)
                yield str(promise.value), name


NAMED = [pair for file in sorted(TESTS.rglob("test_*.py")) for pair in named(file.read_text())]


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_is_shown_by_a_test_and_explained_on_the_page(promise: str) -> None:
    assert promise in {name for name, _ in NAMED}
    assert f"`{promise}`" in PAGE


def test_no_test_names_a_promise_that_was_never_made() -> None:
    assert {name for name, _ in NAMED} <= PROMISES.keys()


def test_a_promise_is_one_sentence_with_a_name_that_can_be_quoted() -> None:
    for name, text in PROMISES.items():
        assert name.replace("-", "").isalpha()
        assert text.endswith(".")
        assert text[0].isupper() or text.startswith(("(", "ts ", "status "))


def test_the_search_finds_what_it_should() -> None:
    source = "@pytest.mark.promise('x')\n@pytest.mark.slow\ndef test_a(): ...\ndef test_b(): ...\n"
    assert list(named(source)) == [("x", "test_a")]
