"""The options of drivers: a device's own keys, checked against the dataclass that its driver declares.

A field `Seconds` is written as a duration, a field `Annotated[SomeDataclass, PROFILE]` as the name of a profile.
"""

from __future__ import annotations

import dataclasses
import pickle
import re
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache, reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

from gateway.config.problems import Tree, Where, shown, suggestion
from gateway.config.profiles import Profiles
from gateway.config.typed import blame_told, typed
from gateway.config.written import Duration, Id
from gateway.driver import PROFILE, Driver, Seconds
from gateway.units import KINDS

_SECONDS = get_args(Seconds)[1]
_KNOWN_NAMES = re.compile(r"there are (.+)$")

FindDriver = Callable[[str], type[Driver]]


def found_driver(name: str, find: FindDriver, tree: Tree, where: Where) -> type[Driver] | None:
    """The driver called `name`; None, with a problem at `where`, if there is none."""
    try:
        return find(name)
    except LookupError as error:
        told = str(error.args[0]) if error.args else ""
        known = _KNOWN_NAMES.search(told)
        if known:
            told = f"there is no driver {shown(name)}; {suggestion(name, known[1].split(', '))}"
        tree.blame(where, told or f"there is no driver {shown(name)}")
        return None


def written_form(options: type[Any]) -> type[Any]:
    """The dataclass of what can be written for `options`: the same fields, as the configuration writes them."""
    return _written_form(cast("Hashable", options))  # mypy: classes are no protocol's instances


@lru_cache(maxsize=128)
def _written_form(declared: Hashable) -> type[Any]:
    options = cast("type[Any]", declared)
    hints = get_type_hints(options, include_extras=True)
    own = [(field.name, _written(hints[field.name]), _default(field)) for field in dataclasses.fields(options)]
    return dataclasses.make_dataclass(options.__name__, own, kw_only=True)


def _default(field: dataclasses.Field[Any]) -> Any:  # noqa: ANN401 - a field's specification
    """The specification of a field with the same default."""
    if field.default is not dataclasses.MISSING:
        return dataclasses.field(default=field.default)
    if field.default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=field.default_factory)
    return dataclasses.field()


def built(
    driver: type[Driver], tree: Tree, where: Where, own: Mapping[str, object], profiles: Profiles
) -> tuple[Driver, object] | None:
    """The driver made with the options `own` of the device at `where`, and those options; None with problems."""
    written = typed(written_form(driver.options), tree, where, own)
    if written is None:
        return None
    values = {field.name: getattr(written, field.name) for field in dataclasses.fields(written)}
    for name, kind in _profile_fields(driver.options).items():
        if isinstance(values[name], str):
            values[name] = _profile(values[name], kind, tree, (*where, name), profiles)
            if values[name] is None:
                return None
    try:
        options = driver.options(**values)
        device = cast("Callable[[object], Driver]", driver)(options)
        device.points, device.claims, device.pins  # noqa: B018 - what they raise belongs here, not into a thread
    except ValueError as error:
        blame_told(tree, where, str(error))
        return None
    except KeyError as error:  # of units.KINDS: a kind that a profile or an option names
        told = str(error.args[0])
        tree.blame_key(where, f"there is no kind {shown(told)}; {suggestion(told, KINDS)}")
        return None
    return (device, options) if _can_be_handed_over(device, tree, where) else None


def _can_be_handed_over(device: Driver, tree: Tree, where: Where) -> bool:
    """Whether the daemon can receive the device from the process that made it (apart.py)."""
    try:
        pickle.dumps(device)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        told = f"this driver is no plain data, as it must be: {str(error)[:300]}; report it to the driver's author"
        tree.blame((*where, "driver"), told)
        return False
    return True


def _written(hint: Any) -> Any:  # noqa: ANN401 - a type expression
    """The type expression of what the configuration writes for a field of type `hint`."""
    if get_origin(hint) in {Union, UnionType}:
        return reduce(or_, (_written(member) for member in get_args(hint)))
    if get_origin(hint) is Annotated:
        marks = get_args(hint)[1:]
        for ours, written in ((PROFILE, Id), (_SECONDS, Duration)):
            if ours in marks:
                rest = (mark for mark in marks if mark != ours)
                return reduce(lambda made, mark: Annotated[made, mark], rest, written)
    return hint


def _profile_fields(options: type[Any]) -> dict[str, type[Any]]:
    """The fields that are written as a profile's name, and the dataclasses of these profiles."""
    hints = get_type_hints(options, include_extras=True)
    return {name: kind for name, hint in hints.items() if (kind := _profile_kind(hint)) is not None}


def _profile_kind(hint: object) -> type[Any] | None:
    if get_origin(hint) is Annotated and PROFILE in get_args(hint)[1:]:
        return cast("type[Any]", get_args(hint)[0])
    if get_origin(hint) in {Union, UnionType}:
        return next((kind for member in get_args(hint) if (kind := _profile_kind(member)) is not None), None)
    return None


def _profile(name: str, kind: type[Any], tree: Tree, where: Where, profiles: Profiles) -> object:
    """The profile; None, with a problem at `where` or in the profile's own file."""
    try:
        return profiles.get(name, kind)
    except LookupError as error:
        tree.blame(where, str(error.args[0]))
        return None
