"""Values of a tree as instances of a type, or problems in words.

pydantic judges; here its findings get the place in the file, the words, and what would be right.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Hashable, Mapping
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from gateway.config import written
from gateway.config.problems import Tree, Where, but, hushed, listed, shown, suggestion
from gateway.driver import Doc

T = TypeVar("T")

_STRICT = ConfigDict(
    extra="forbid", strict=True, allow_inf_nan=False, alias_generator=lambda name: name.removesuffix("_")
)
"""How every part is checked, options and profiles included: unknown keys refused, no value taken for another type's."""

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a map",
    "dataclass_type": "a map",
}
_HINTS = {
    "a duration": written.DURATION_HINT,
    "a size": written.SIZE_HINT,
    "a date": written.DAY_HINT,
    "a rate": written.RATE_HINT,
}
_TRUE_WORDS = {"true", "yes", "on", "y", "1"}
_FALSE_WORDS = {"false", "no", "off", "n", "0"}
_LIMITS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}
_UNKNOWN_KEYS = {
    "password": "a password never stands in this file; use password_file, a file of mode 0600 that holds it",
    "<<": "unknown key; merge keys are not read here, write the values out",
}


def typed(kind: type[T], tree: Tree, where: Where, value: object) -> T | None:
    """The `value` at `where` as a `kind`, a dataclass; None, with problems in the tree, if it is none."""
    try:
        return judge(kind).validate_json(json.dumps([value], default=str), by_alias=True, by_name=False)[0]
    except ValidationError as refused:
        _explain(refused, kind, tree, where)
        return None


def judge(kind: type[T]) -> TypeAdapter[tuple[T]]:
    """The checks of a `kind` in a tuple: pydantic takes no strictness from outside for a dataclass by itself."""
    return _judge(cast("Hashable", kind))  # mypy: classes are no protocol's instances


@lru_cache(maxsize=128)  # a bus of 200 sensors is checked against one and the same
def _judge(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(tuple[kind], config=_STRICT)  # type: ignore[valid-type]


def _explain(refused: ValidationError, kind: object, tree: Tree, where: Where) -> None:
    """Note every finding once; those of the members of one union together."""
    expected: dict[Where, list[str]] = {}
    for found in refused.errors(include_url=False):
        loc = found["loc"][1:]  # the first step leads into the tuple around the value
        at = _in_tree(tree, where, loc)
        if at in tree.unusable:
            continue
        if found["type"] in _EXPECTED:
            expected.setdefault(at, []).append(_EXPECTED[found["type"]])
        elif found["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
            tree.blame_key(at, unknown_key(str(at[-1]), fields(kind, loc[:-1])))
        elif found["type"] == "missing":
            _blame_missing(loc[-1], fields(kind, loc[:-1]), tree, at)
        elif found["type"] == "value_error":
            error = found["ctx"]["error"]
            if isinstance(error, written.QuantityError):
                expected.setdefault(at, []).append(error.wanted)
            else:
                blame_told(tree, at, str(error))
        else:
            tree.blame(at, _what(found, tree.get(at), at))
    for at, kinds in expected.items():
        tree.blame(at, _wrong_type(list(dict.fromkeys(kinds)), tree.get(at), at))


def _in_tree(tree: Tree, where: Where, loc: tuple[int | str, ...]) -> Where:
    """The place in the tree; pydantic's `loc` names the members of unions and missing keys as well."""
    for step in loc:
        if (*where, step) in tree.values:
            where = (*where, step)
    return where


def _blame_missing(name: str | int, known: Mapping[str, str], tree: Tree, at: Where) -> None:
    if isinstance(name, int):
        tree.blame(at, f"the list is too short; write {name + 1} values, as in [2, 8]")
        return
    about = known.get(name, "")
    told = f" ({about[0].lower()}{about[1:]})" if about else ""
    tree.blame_key((*at, name), f"is missing; add `{name}: ...`{told}")


def blame_told(tree: Tree, where: Where, told: str) -> None:
    """Note what a dataclass or driver says of itself, at the key that it names first (`pin: ...`), if it is there."""
    key, colon, rest = told[:300].partition(": ")
    if colon and (*where, key) in tree.values:
        tree.blame((*where, key), rest)
    else:
        tree.blame_key(where, told[:300])


def unknown_key(name: str, known: Mapping[str, str]) -> str:
    """What is wrong with the key `name` where only those of `known` can be."""
    return _UNKNOWN_KEYS.get(name) or f"unknown key; {suggestion(name, known)}"


def _wrong_type(expected: list[str], value: object, where: Where) -> str:
    if {"a number", "a whole number"} <= set(expected):
        expected.remove("a whole number")
    told = f"must be {listed(expected, 'or')}{but(value, where)}"
    hint = "" if hushed(where) else _type_hint(expected[0], value)
    return f"{told}; {hint}" if hint else told


def _type_hint(expected: str, value: object) -> str:
    """What would be right, as far as it can be guessed."""
    text = str(value).lower()
    if expected in _HINTS:
        return _HINTS[expected]
    if expected == "true or false":
        return "write true" if text in _TRUE_WORDS else "write false" if text in _FALSE_WORDS else ""
    if expected.endswith("number") and isinstance(value, str):
        number = re.fullmatch(r"\s*([-+]?\d{1,18}(?:\.\d{1,9})?)\s*", value)
        return f"write it without quotes: {number[1]}" if number else ""
    if expected == "text" and isinstance(value, bool | int | float):
        return f'write it in quotes: "{text}"'
    if expected == "a list" and isinstance(value, str | bool | int | float):
        return "write it in brackets, as in [a, b]"
    if expected == "a map":
        return "write its keys below it, one in each line"
    return ""


def _what(found: ErrorDetails, value: object, where: Where) -> str:
    """The words for a value of the right type that is wrong otherwise."""
    context = found.get("ctx", {})
    told = but(value, where)
    match found["type"]:
        case "literal_error" | "enum":
            choices = [choice.strip("'") for choice in re.split(r", | or ", str(context["expected"]))]
            close = suggestion(value, choices) if isinstance(value, str) and not hushed(where) else ""
            return f"must be {listed(choices, 'or')}{told}" + (f"; {close}" if close.endswith("?") else "")
        case "greater_than_equal" | "greater_than" | "less_than_equal" | "less_than" as limit:
            key, words = _LIMITS[limit]
            return f"must be {words} {_spelled(context[key], value)}{told}"
        case "string_pattern_mismatch" if context["pattern"] == written.ID_PATTERN:
            return not_an_id(str(value))
        case "string_pattern_mismatch" if context["pattern"] == written.ZONE_PATTERN:
            return f"must be a zone{told}; write ids joined by /, as in cold-store/room-1"
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters, not {len(str(value))}"
        case "too_long":
            return f"the list is too long; write {context['max_length']} values, as in [2, 8]"
    return f"cannot be used: {found['msg'][:300]}"


def not_an_id(text: str) -> str:
    """What is wrong with an id that is none, and one that is near it."""
    near = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:64]
    told = f"must be an id, not {shown(text)}; use small letters, digits, - and _, 64 at most"
    return f"{told}, as in {near}" if near else told


def _spelled(limit: float, like: object) -> str:
    """The limit, written as the value it is for."""
    if isinstance(like, str):
        return written.size_text(int(limit)) if like.endswith("B") else written.duration_text(limit)
    return str(limit).removesuffix(".0")


def fields(kind: object, loc: tuple[int | str, ...] = ()) -> dict[str, str]:
    """The keys that can be at `loc` in a `kind`, and what they are for."""
    if get_origin(kind) is Annotated:
        return fields(get_args(kind)[0], loc)
    own = _own_fields(kind)
    if not own:
        if get_origin(kind) not in {Union, UnionType}:  # a list or a map: a step leads to its items
            if not loc:
                return {}
            loc = loc[1:]
        found = (fields(inner, loc) for inner in get_args(kind))
        return next((known for known in found if known), {})
    if not loc:
        return {name: about for name, (_, about) in own.items()}
    return fields(own[str(loc[0])][0], loc[1:]) if loc[0] in own else {}


def required(kind: type[Any]) -> list[str]:
    """The keys that a dataclass cannot do without."""
    missing = dataclasses.MISSING
    return [it.name for it in dataclasses.fields(kind) if it.default is missing and it.default_factory is missing]


def _own_fields(kind: object) -> dict[str, tuple[object, str]]:
    """The fields of a dataclass by their keys: their types and descriptions; none of anything else."""
    return _described(kind) if isinstance(kind, type) and dataclasses.is_dataclass(kind) else {}


@lru_cache(maxsize=128)  # asked for every device, and evaluated from text
def _described(kind: type[Any]) -> dict[str, tuple[object, str]]:
    hints = get_type_hints(kind, include_extras=True)
    return {
        it.name.removesuffix("_"): (hints[it.name], _description(hints[it.name]))
        for it in dataclasses.fields(kind)
        if it.init
    }


def _description(hint: object) -> str:
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((mark.text for mark in marks if isinstance(mark, Doc)), "")
