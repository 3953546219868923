"""Profiles: YAML files that describe one model of device each, read for drivers whose options name one.

The folders are searched in order, the user's own first, so a profile of ours can be replaced by one of the same name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar, cast

from gateway.config.problems import Problem, refusal, suggestion
from gateway.config.typed import typed
from gateway.config.written import is_id
from gateway.config.yaml_marks import read

T = TypeVar("T")

_BEGIN = "copy one of those in drivers/profiles to start from"


class Profiles:
    """The profiles of some folders, each read once. `problems` tells what is wrong inside of them."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self._folders = folders
        self._known: dict[tuple[str, type], object] = {}
        self.problems: list[Problem] = []

    def names(self, kind: type = object) -> set[str]:
        """The profiles of a kind that there are."""
        return {path.stem for folder in self._folders for path in (folder / _below(kind)).glob("*.yaml")}

    def get(self, name: str, kind: type[T]) -> T | None:
        """The profile as an instance of the dataclass `kind`; None with `problems`; LookupError if there is none."""
        paths = self._files(name, kind)
        if not paths:
            where = f" in the folder profiles/{_below(kind)}" if _below(kind) else ""
            hint = suggestion(name, self.names(kind))
            if _below(kind) and (above := self._files(name, object)):
                hint = f"{above[0]} belongs there, if it describes such a device"
            raise LookupError(f"there is no profile {name}{where}; {hint}")
        if (name, kind) not in self._known:
            tree = read(paths[0], _BEGIN)
            self._known[name, kind] = None if tree.problems else typed(kind, tree, (), tree.value)
            self.problems += tree.problems
        return cast("T | None", self._known[name, kind])

    def replaced(self) -> Iterator[str]:
        """Which of those that were asked for stand in the place of others of the same name, in words."""
        for name, kind in sorted(self._known, key=lambda known: known[0]):
            first, *others = self._files(name, kind)
            if others:
                yield f"profile {name} is {first}, in place of the one that comes along"

    def _files(self, name: str, kind: type) -> list[Path]:
        """The files of that name, the one that counts first."""
        paths = [folder / _below(kind) / f"{name}.yaml" for folder in self._folders]
        return [path for path in paths if os.path.isfile(path)]  # noqa: PTH113 - is_file() can raise


def read_profile(path: Path, kind: type[T]) -> T:
    """The profile in the file `path` as an instance of the dataclass `kind`; ConfigError with every problem."""
    tree = read(path, _BEGIN)
    found = None if tree.problems else typed(kind, tree, (), tree.value)
    if _below(kind) and path.parent.name != _below(kind):
        tree.blame((), f"put it into the folder profiles/{_below(kind)}: a device finds such a profile there alone")
    if not (is_id(path.stem) and path.suffix == ".yaml"):
        tree.blame((), "a device names a profile by its file, which has to be an id and .yaml, as in my-sensor.yaml")
    if found is None or tree.problems:
        raise refusal(tree.problems)
    return found


def _below(kind: type) -> str:
    """The folder in which profiles of this kind are, below the others'; "" for most."""
    return str(getattr(kind, "profile_folder", ""))
