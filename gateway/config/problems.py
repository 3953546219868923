"""Problems of a configuration: each at its place, with what is wrong and what would be right.

What is echoed from a file is cut to a few words, and nothing is echoed that may be a secret: its place tells enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from gateway.errors import ConfigError

Where: TypeAlias = tuple[str | int, ...]
"""The keys that lead from the top of a configuration to a value."""

_SHOWN_CHARS = 40
_SHOWN_NAMES = 8
_SHOWN_PROBLEMS = 200  # a broken file of 1 MB must not become a report of 100 MB
_PLAIN_KEY = re.compile(r"[\w<-]{1,64}")
_HUSHED = re.compile(r"(?:^|_)(?:pass(?:word|wd|phrase|code)?|secret|token|credential)s?(?:_|$)", re.IGNORECASE)


class Place(NamedTuple):
    """A position in a file, lines and columns from 1; line 0 means the whole of it."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class Problem(NamedTuple):
    """One thing to put right; `what` reads `what is wrong; what would be right`."""

    place: Place
    where: Where
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {dotted(self.where)}: {self.what}" if self.where else f"{self.place}: {self.what}"


class Tree:
    """Plain values (maps, lists, text, numbers, true/false, None) and the places that they were written at."""

    def __init__(self, value: object, values: dict[Where, Place], keys: dict[Where, Place]) -> None:
        self.value = value
        self.values = values
        self.keys = keys
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []  # what is right and yet worth a look
        self.unusable: set[Where] = set()  # blamed already: a value that stands in their place is not judged again

    def get(self, where: Where) -> object:
        """The value at `where`, None if there is none."""
        value = self.value
        for step in where:
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value

    def section(self, *where: str) -> dict[str, object]:
        """The map at `where`; empty if there is none."""
        value = self.get(where)
        return value if isinstance(value, dict) else {}

    def place(self, where: Where) -> Place:
        """The place of the value at `where`, or of the nearest map around it."""
        while where not in self.values:
            where = where[:-1]
        return self.values[where]

    def key_place(self, where: Where) -> Place:
        """The place of the key that `where` ends with, or of its value where it has no key."""
        return self.keys.get(where) or self.place(where)

    def blame(self, where: Where, what: str) -> None:
        """Note that the value at `where` is wrong."""
        self.problems.append(Problem(self.place(where), where, what))

    def blame_key(self, where: Where, what: str) -> None:
        """Note that the key at `where`, or its value as a whole, is wrong."""
        self.problems.append(Problem(self.key_place(where), where, what))

    def note_key(self, where: Where, what: str) -> None:
        """Note that what stands at the key `where` is right and yet worth a look."""
        self.notes.append(Problem(self.key_place(where), where, what))


def refusal(problems: Iterable[Problem]) -> ConfigError:
    """The error that tells all `problems`, in the order of the files' lines."""
    lines = [str(problem) for problem in sorted(problems, key=lambda problem: problem.place)]
    lines = list(dict.fromkeys(lines))
    if len(lines) > _SHOWN_PROBLEMS:
        lines[_SHOWN_PROBLEMS:] = [f"and {len(lines) - _SHOWN_PROBLEMS} more problems"]
    return ConfigError(tuple(lines))


def hushed(where: Where) -> bool:
    """Whether what is written at `where` may be a secret."""
    return any(_HUSHED.search(str(step)) for step in where)


def but(value: object, where: Where) -> str:
    """The end of a sentence on what should be there: what is there instead, unless it may be a secret."""
    return "" if hushed(where) else f", not {shown(value)}"


def shown(value: object) -> str:
    """The `value` as an error message may show it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a map"
        case list() | tuple():
            return "a list"
    text = repr(str(value)[: _SHOWN_CHARS + 1])
    if len(str(value)) > _SHOWN_CHARS:
        text = repr(str(value)[:_SHOWN_CHARS] + "…")
    return text if isinstance(value, str) else text[1:-1]


def dotted(where: Where) -> str:
    """The keys of `where` joined by dots, odd ones in quotes."""
    return ".".join(str(step) if _PLAIN_KEY.fullmatch(str(step)) else shown(str(step)) for step in where)


def suggestion(word: str, known: Iterable[str]) -> str:
    """What may have been meant by `word`, or what there is to choose from."""
    from difflib import get_close_matches  # noqa: PLC0415 - only where something is wrong, never while the daemon runs

    names = sorted(known)
    close = get_close_matches(word[:80], names, n=1)
    if close:
        return f"did you mean {close[0]}?"
    if not names:
        return "there is none"
    return f"there {'is' if len(names) == 1 else 'are'} {listed(names)}"


def listed(names: Iterable[str], last: str = "and") -> str:
    """The names as words: `a`, `a and b`, `a, b and c`; a long list is cut."""
    some = list(names)
    if len(some) > _SHOWN_NAMES:
        some[_SHOWN_NAMES:] = [f"{len(some) - _SHOWN_NAMES} more"]
    return some[0] if len(some) == 1 else f"{', '.join(some[:-1])} {last} {some[-1]}"
