"""YAML text as plain values with the place of every key and value, and nothing that surprises.

Invariants: text of any kind gives a Tree or problems, never another error; nothing is executed or constructed beyond
maps, lists, text, numbers, true/false and nothing; size, depth and the growth by aliases are bounded.

The rules of YAML 1.1 that surprise are off: only true and false are truth values (`on`, `no` are text), `22:00` is
text, `010` is ten. A key is always text.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import yaml

from gateway.config.problems import Place, Problem, Tree, Where, but

MAX_BYTES = 1_000_000
_MAX_DEPTH = 24  # a configuration needs about eight
_MAX_VALUES = 50_000  # a thousand devices with their rules have fewer
_MAX_INT = 2**63
_TAG = "tag:yaml.org,2002:"
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")

_SCALARS = (
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), "tTfF"),
    ("null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    ("int", re.compile(r"(?:[-+]?[0-9]+|0x[0-9a-fA-F]+)\Z"), "-+0123456789"),
    ("float", re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z"), "-+.0123456789"),
)

_TOO_MANY = f"more than {_MAX_VALUES} values; do aliases (*name) multiply them?"
_NO_COLON = "a key without a colon; write `key: value`"
_OPEN_QUOTE = "a quote that is never closed; add the closing quote"
_BEGUN_BEFORE = {_NO_COLON, _OPEN_QUOTE}  # told where the key or quote is, not where it was missed
_WORDS = (  # part of PyYAML's message, in our words; PyYAML's own may echo what it found
    (
        "mapping values are not allowed",
        "a key where none can be; check the indentation, and quote texts with ': '",
    ),
    ("could not find expected ':'", _NO_COLON),
    ("undefined alias", "an alias (*name) without its anchor (&name); put a text that starts with * in quotes"),
    ("undefined tag handle", "an unknown tag; put a text that starts with ! in quotes"),
    ("'\\t' that cannot start", "a tab; indent with spaces"),
    ("that cannot start any token", "a text that begins with a special character; put it in quotes"),
    ("unknown escape character", "an unknown escape in a text; write \\\\ for a backslash, or use single quotes"),
    ("unexpected end of stream", _OPEN_QUOTE),
    ("unexpected document separator", _OPEN_QUOTE),
    ("expected ',' or ']'", "a list in [ ] that goes wrong here; put commas between its items and ] at its end"),
    ("expected ',' or '}'", "a map in { } that goes wrong here; put commas between its keys and } at its end"),
    ("expected <block end>", "a line that does not fit its neighbours; give keys of one map the same indentation"),
    ("but found another document", "a second document (---); write one document in each file"),
    ("sequence entries are not allowed", "a list item where none can be; begin the list on a line of its own"),
    ("second occurrence", "an anchor (&name) that is used twice; give each anchor its own name"),
    ("too many", _TOO_MANY),
    ("too deep", f"maps or lists more than {_MAX_DEPTH} levels deep; a configuration needs eight at most"),
)
_NO_TAGS = "a tag (!) has no meaning here; leave it out"
_OTHER_WORDS = "something that is no YAML; check quotes, brackets and indentation here and in the line above"


class _Refused(Exception):  # noqa: N818 - private to this file
    """The document cannot be read on: where and why."""

    def __init__(self, mark: yaml.Mark | None, where: Where, what: str) -> None:
        super().__init__(what)
        self.line = mark.line + 1 if mark else 1
        self.column = mark.column + 1 if mark else 1
        self.where = where
        self.what = what


class _Loader(yaml.SafeLoader):
    """Composes nodes only; its resolvers are replaced below, its depth is bounded."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own attribute
    depth = 0
    left = 2 * _MAX_VALUES  # keys are nodes as well

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        self.left -= 1
        if self.depth > _MAX_DEPTH or self.left < 0:
            what = "too deep" if self.left >= 0 else "too many"
            raise yaml.composer.ComposerError(None, None, what, self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


for _name, _form, _first in _SCALARS:
    _Loader.add_implicit_resolver(_TAG + _name, _form, list(_first))


def read(path: Path, begin: str) -> Tree:
    """The YAML document in the file at `path`; what is wrong with it, or with the file, is in the tree's problems.

    `begin` tells what to do where nothing is.
    """
    file = str(path)
    tree = Tree(None, {(): Place(file, 1, 1)}, {})
    try:
        if not path.is_file():
            what = "this is no file" if path.exists() else "there is no such file"
            return _failed(tree, Place(file), f"{what}; {begin}")
        with path.open("rb") as source:
            data = source.read(MAX_BYTES + 1)
    except OSError as error:
        words = (error.strerror or "it cannot be read").lower()
        return _failed(tree, Place(file), f"{words}; let the user that runs sitewarden read it")
    return parsed(data, file, begin)


def parsed(data: bytes, file: str, begin: str) -> Tree:
    """The YAML document in `data`; what is wrong with it is in the tree's problems, named after `file`."""
    tree = Tree(None, {(): Place(file, 1, 1)}, {})
    if len(data) > MAX_BYTES:
        return _failed(tree, Place(file), "the file is larger than 1 MB; is it a configuration?")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        return _failed(tree, Place(file, line, column), "not UTF-8 text; save the file as UTF-8")
    try:
        root = _composed(text)
        if root is None:
            return _failed(tree, Place(file), f"the file is empty; {begin}")
        tree.value = _Walk(file, tree).plain(root, ())
    except _Refused as error:
        place = Place(file, error.line, error.column)
        tree.problems.append(Problem(place, error.where, error.what))
    return tree


def _failed(tree: Tree, place: Place, what: str) -> Tree:
    tree.problems.append(Problem(place, (), what))
    return tree


def _composed(text: str) -> yaml.Node | None:
    """The document's node, None for an empty one."""
    loader = None
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        mark = yaml.Mark("", 0, before.count("\n"), len(before) - before.rfind("\n") - 1, "", 0)
        raise _Refused(mark, (), "a character that no text file should have; delete it") from error
    except yaml.MarkedYAMLError as error:
        words = _in_words(error)
        begun = words in _BEGUN_BEFORE and error.context_mark
        raise _Refused(begun or error.problem_mark, (), words) from error
    except (ValueError, OverflowError) as error:  # PyYAML lets int() and chr() fail on odd versions and escapes
        raise _Refused(loader.get_mark() if loader else None, (), _OTHER_WORDS) from error


def _in_words(error: yaml.MarkedYAMLError) -> str:
    told = f"{error.context or ''} {error.problem or ''}"
    return next((words for part, words in _WORDS if part in told), _OTHER_WORDS)


class _Walk:
    """One pass over a document's nodes."""

    def __init__(self, file: str, tree: Tree) -> None:
        self.file = file
        self.tree = tree
        self.left = _MAX_VALUES

    def plain(self, node: yaml.Node, where: Where) -> object:
        """The node's value; its places and problems go to the tree."""
        self.left -= 1
        if self.left < 0:
            raise _Refused(node.start_mark, (), _TOO_MANY)
        if len(where) > _MAX_DEPTH:
            raise _Refused(node.start_mark, (), "an alias (*name) inside its own anchor (&name); write the values out")
        self.tree.values[where] = self.place(node)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self.mapping(node, where)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.plain(item, (*where, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, where)
        return self.unusable(where, _NO_TAGS)

    def mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, object]:
        """The map, with its first value for a key that is written twice."""
        found: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or _UNPRINTABLE.search(key.value):
                raise _Refused(key.start_mark, where, "a key must be a plain word; write `key: value`")
            inner = (*where, key.value)
            if key.value in found:
                first = self.tree.keys[inner]
                what = f"this key is there twice, first in line {first.line}; keep one of the two"
                self.tree.problems.append(Problem(self.place(key), inner, what))
                continue
            self.tree.keys[inner] = self.place(key)
            found[key.value] = self.plain(value, inner)
        return found

    def scalar(self, node: yaml.ScalarNode, where: Where) -> object:
        """Text, number, true/false or None."""
        text: str = node.value
        forms = {_TAG + name: form for name, form, _ in _SCALARS}
        if node.tag in forms and not forms[node.tag].match(text):
            return self.unusable(where, f"must be what its tag says{but(text, where)}; leave the tag out")
        if node.tag == _TAG + "null":
            return None
        if node.tag == _TAG + "bool":
            return text.lower() == "true"
        if node.tag in {_TAG + "int", _TAG + "float"}:
            return self.number(node, where)
        if node.tag != _TAG + "str":
            return self.unusable(where, _NO_TAGS)
        if _UNPRINTABLE.search(text):
            return self.unusable(where, "a text with a control character in it; leave it out")
        return text

    def number(self, node: yaml.ScalarNode, where: Where) -> object:
        """The number; None, with a problem, where it is beyond what a computer counts with."""
        text = node.value
        number: int | float = math.inf
        if len(text) <= 64:  # Python refuses to convert thousands of digits
            number = int(text, 16) if text[:2] == "0x" else int(text) if node.tag == _TAG + "int" else float(text)
        if abs(number) >= _MAX_INT:
            return self.unusable(where, f"must be a number of a usual size{but(text, where)}; check its digits")
        return number

    def unusable(self, where: Where, what: str) -> object:
        """Note that the value at `where` cannot be used; the None that stands in its place."""
        self.tree.blame(where, what)
        self.tree.unusable.add(where)
        return None

    def place(self, node: yaml.Node) -> Place:
        """Where the node begins."""
        return Place(self.file, node.start_mark.line + 1, node.start_mark.column + 1)
