r"""Regular expressions that are safe to run on whatever a wire says: at each character one way on, and no more. Pure.

Python's `re` goes back and tries again where a pattern can match in several ways, which takes more time than there is
on as little as a line of noise. A pattern that passes here has nothing to try: what a repetition may contain never
begins what follows it, and the ways of an alternative begin differently, and nothing that may be repeated or left out
may also be nothing. So the time grows with the line's length alone, and what is checked grows with the pattern's.

    known: characters, \\d \\w \\s \\D \\W \\S \\xNN, [sets], (?P<name>groups), (?:groups), a|b, ?, *, +, {n,m}
    refused: whatever else, as `.` before what it contains, (a+)+, references, looking ahead or behind

Characters are those of Latin-1: one for each byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

MOST = 500  # characters of a pattern
_DEEPEST = 20  # groups in groups

_ALL = frozenset(map(chr, range(256)))
_CLASSES = {name: frozenset(it for it in _ALL if re.fullmatch(f"\\{name}", it, re.ASCII)) for name in "dwsDWS"}
_CONTROLS = {"t": "\t", "r": "\r", "n": "\n"}
_MEANT = "\\^$.|?*+()[]{}-/,:;=#%&<>!\"'@~` _"  # what stands for itself behind a backslash
_COUNT = re.compile(r"\{(\d{1,3})(?:(,)(\d{0,3}))?\}")
_GROUP = re.compile(r"\?(?:P<([a-z][a-z0-9_]*)>|:)")

Chars: TypeAlias = frozenset[str]


class _One(NamedTuple):
    """One character out of these."""

    chars: Chars


class _Repeated(NamedTuple):
    """What comes `least` times, or up to `most` (None: any number of) times."""

    body: _Node
    least: int
    most: int | None


class _Choice(NamedTuple):
    """One of several ways."""

    ways: tuple[tuple[_Node, ...], ...]


_Node: TypeAlias = _One | _Repeated | _Choice


class _Begin(NamedTuple):
    """With which characters something may begin, and whether it may also be nothing."""

    chars: Chars
    empty: bool


def group_names(pattern: str) -> tuple[str, ...]:
    """The named groups of a pattern that is safe; ValueError, in words, for one that is not."""
    if len(pattern) > MOST:
        raise ValueError(f"a pattern of {len(pattern)} characters is too long: {MOST} at most")
    reader = _Reader(pattern)
    _begin(reader.read(), frozenset())
    try:
        re.compile(pattern, re.ASCII)
    except re.error as error:
        raise ValueError(f"this is no regular expression: {error}") from error
    return tuple(reader.names)


def beginnings(pattern: str) -> Chars:
    """The characters with which a frame may begin, after a pattern that is safe."""
    return _first_of_all(_Reader(pattern).read())


def _begin(nodes: Iterable[_Node], behind: Chars) -> _Begin:
    """How a sequence may begin that is followed by one of `behind`; ValueError where there are two ways on."""
    found = _Begin(behind, empty=True)
    chars: Chars = frozenset()
    for node in reversed(tuple(nodes)):
        follow = chars | behind if found.empty else chars
        own = _begin_of(node, follow)
        chars = own.chars | chars if own.empty else own.chars
        found = _Begin(chars, own.empty and found.empty)
    return _Begin(chars, found.empty)


def _begin_of(node: _Node, follow: Chars) -> _Begin:
    match node:
        case _One(chars):
            return _Begin(chars, empty=False)
        case _Choice(ways):
            return _begin_of_choice([_begin(way, follow) for way in ways], follow)
        case _Repeated(body, least, most):
            again = most is None or most > 1
            own = _begin_of(body, follow | _first(body) if again else follow)
            if own.empty and (least, most) != (1, 1):
                raise ValueError(
                    "what is repeated or left out may be nothing by itself; make it at least one character"
                )
            if least != most:
                _refuse_common(own.chars, follow, "a repetition may contain what may also follow it")
            return _Begin(own.chars, own.empty or least == 0)


def _first(node: _Node) -> Chars:
    """With which characters it may begin; that it has a single way on is for others to see."""
    match node:
        case _One(chars):
            return chars
        case _Repeated(body, _, _):
            return _first(body)
        case _Choice(ways):
            return frozenset().union(*map(_first_of_all, ways))


def _first_of_all(nodes: Iterable[_Node]) -> Chars:
    found: Chars = frozenset()
    for node in nodes:
        found |= _first(node)
        if not _may_be_nothing(node):
            break
    return found


def _may_be_nothing(node: _Node) -> bool:
    match node:
        case _One():
            return False
        case _Repeated(body, least, _):
            return least == 0 or _may_be_nothing(body)
        case _Choice(ways):
            return any(all(map(_may_be_nothing, way)) for way in ways)


def _begin_of_choice(begins: list[_Begin], follow: Chars) -> _Begin:
    seen: Chars = frozenset()
    empty = False
    for begin in begins:
        _refuse_common(seen, begin.chars, "two ways of an alternative may begin alike")
        if begin.empty and empty:
            raise ValueError("two ways of an alternative may be nothing")
        seen |= begin.chars
        empty = empty or begin.empty
    if empty:
        _refuse_common(seen, follow, "an alternative that may be nothing begins as what may follow it")
    return _Begin(seen, empty)


def _refuse_common(one: Chars, other: Chars, what: str) -> None:
    common = sorted(one & other)
    if common:
        raise ValueError(
            f"{what}, as {common[0]!r} here: matching it could take very long on noise; "
            "say exactly what may stand there, as [^,]* before a comma in place of .*"
        )


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self.names: list[str] = []
        self._text = pattern
        self._at = 0
        self._depth = 0

    def read(self) -> tuple[_Node, ...]:
        """All of it."""
        choice = self._choice()
        if self._at < len(self._text):
            raise self._wrong("a ) without its (")
        return (choice,)

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"{what}, at character {self._at + 1} of {self._text!r}")

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        taken = self._next()
        if not taken:
            raise self._wrong("it ends in the middle")
        self._at += 1
        return taken

    def _choice(self) -> _Choice:
        ways = [self._sequence()]
        while self._next() == "|":
            self._at += 1
            ways.append(self._sequence())
        return _Choice(tuple(ways))

    def _sequence(self) -> tuple[_Node, ...]:
        nodes: list[_Node] = []
        while self._next() not in ("", "|", ")"):
            nodes.append(self._counted(self._item()))
        return tuple(nodes)

    def _item(self) -> _Node:
        char = self._take()
        if not char.isprintable() or char not in _ALL:
            raise self._wrong(f"{char!r}: write it as \\xNN")
        match char:
            case "(":
                return self._group()
            case "[":
                return _One(self._set())
            case "\\":
                return _One(self._escaped())
            case ".":
                return _One(_ALL - {"\n"})
            case "^" | "$" | "?" | "*" | "+" | "{" | "}" | "]":
                self._at -= 1
                raise self._wrong(f"a {char} that means nothing here; a pattern is about the whole frame anyway")
        return _One(frozenset(char))

    def _group(self) -> _Choice:
        named = _GROUP.match(self._text, self._at)
        if named is None:
            raise self._wrong("write a group as (?P<name>...) or (?:...)")
        self._at = named.end()
        if named[1] in self.names:
            raise self._wrong(f"the group {named[1]} stands there twice")
        if named[1]:
            self.names.append(named[1])
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong(f"more than {_DEEPEST} groups in each other")
        choice = self._choice()
        self._depth -= 1
        if self._next() != ")":
            raise self._wrong("a ( without its )")
        self._at += 1
        return choice

    def _counted(self, node: _Node) -> _Node:
        simple: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}
        if self._next() in simple and self._next():
            least, most = simple[self._take()]
        elif (count := _COUNT.match(self._text, self._at)) is not None:
            self._at = count.end()
            least = int(count[1])
            most = least if count[2] is None else int(count[3]) if count[3] else None
            if most is not None and most < max(least, 1):
                raise self._wrong("a count that cannot be")
        else:
            return node
        if self._next() in ("?", "+", "*", "{") and self._next():
            raise self._wrong("one repetition right behind another")
        return _Repeated(node, least, most)

    def _escaped(self) -> Chars:
        char = self._take()
        if char == "x":
            digits = self._text[self._at : self._at + 2]
            if not re.fullmatch(r"[0-9A-Fa-f]{2}", digits):
                raise self._wrong("write \\xNN with two hexadecimal digits")
            self._at += 2
            return frozenset(chr(int(digits, 16)))
        if char in _CLASSES:
            return _CLASSES[char]
        if char in _CONTROLS:
            return frozenset(_CONTROLS[char])
        if char in _MEANT:
            return frozenset(char)
        raise self._wrong(f"\\{char} is not known here")

    def _set(self) -> Chars:
        negated = self._next() == "^"
        self._at += negated
        chars: set[str] = set()
        while self._next() != "]":
            chars |= self._range()
        self._at += 1
        if not chars:
            raise self._wrong("an empty set")
        return _ALL - chars if negated else frozenset(chars)

    def _range(self) -> Chars:
        first = self._member()
        if self._text[self._at : self._at + 1] != "-" or self._text[self._at + 1 : self._at + 2] == "]":
            return first
        self._at += 1
        last = self._member()
        if len(first) != 1 or len(last) != 1 or min(first) > min(last):
            raise self._wrong("a range that cannot be")
        return frozenset(map(chr, range(ord(min(first)), ord(min(last)) + 1)))

    def _member(self) -> Chars:
        char = self._take()
        if char == "\\":
            return self._escaped()
        if char == "[" or not char.isprintable() or char not in _ALL:
            raise self._wrong(f"{char!r} in a set: write it as \\xNN")
        return frozenset(char)
