"""Where a configuration comes from: one file, or a folder whose files are merged, and values set from outside."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gateway.config.problems import Place, Problem, Tree, Where, dotted, refusal
from gateway.config.yaml_marks import parsed, read

BY_ID = ("uplinks", "links", "devices", "rules", "responses", "hours", "fences", "report", "points")
"""The top-level keys that hold maps by id; in a folder, each file may add to them."""

_BEGIN = "`sitewarden init` writes one to start from"


def gathered(path: Path) -> Tree:
    """The tree of the file at `path`, or of all *.yaml files in the folder at `path`, in the order of their names."""
    if not os.path.isdir(path):  # noqa: PTH112 - is_dir() can raise
        tree = read(path, _BEGIN)
        if tree.value is not None and not isinstance(tree.value, dict):
            tree.blame((), "this is no configuration, which begins with `site:`; check the file's name")
        return tree
    whole = Tree({}, {(): Place(str(path))}, {})
    for file in sorted(path.glob("[!.]*.yml")):
        whole.problems.append(Problem(Place(str(file)), (), f"only *.yaml is read; rename it to {file.stem}.yaml"))
    files = sorted(path.glob("[!.]*.yaml"))
    if not files:
        whole.blame((), f"there is no *.yaml file in this folder; {_BEGIN}")
    for file in files:
        _merge(whole, gathered(file))
    return whole


def _merge(whole: Tree, part: Tree) -> None:
    """Add `part` to `whole`; a key that both have is a problem that names both places."""
    whole.problems += part.problems
    whole.unusable |= part.unusable
    if not isinstance(part.value, dict) or not isinstance(whole.value, dict):
        return
    doubled: set[Where] = set()
    for name, value in part.value.items():
        there = whole.value.get(name)
        if name in BY_ID and isinstance(value, dict) and isinstance(there, dict):
            doubled |= {(name, key) for key in value if key in there}
            whole.value[name] = {**value, **there}
        elif there is None:
            whole.value[name] = value
        elif value is not None:
            doubled.add((name,))
    for where in doubled:
        what = f"this key is also at {whole.key_place(where)}; keep one of the two"
        whole.problems.append(Problem(part.key_place(where), where, what))
    for known, new in ((whole.values, part.values), (whole.keys, part.keys)):
        known.update({at: new[at] for at in new if at not in known and doubled.isdisjoint((at[:1], at[:2]))})


def read_settings(settings: Mapping[tuple[str, ...], str]) -> dict[tuple[str, ...], object]:
    """The values that are written in `settings` as in a file; ConfigError tells each that cannot be read."""
    values: dict[tuple[str, ...], object] = {}
    problems: list[Problem] = []
    for where, text in settings.items():
        place = _outside(where)
        tree = parsed((text or "null").encode(errors="surrogateescape"), str(place), "write a value behind the =")
        problems += [Problem(place, where, problem.what) for problem in tree.problems]
        values[where] = tree.value
    if problems:
        raise refusal(problems)
    return values


def _outside(where: Where) -> Place:
    return Place(f"--set {dotted(where)}")


def override(tree: Tree, overrides: Mapping[tuple[str, ...], object]) -> None:
    """Put the values of `overrides` into the tree, in place of what the files say."""
    for where, value in overrides.items():
        place = _outside(where)
        inner = tree.value
        for depth, step in enumerate(where[:-1], 1):
            if isinstance(inner, dict) and inner.get(step) is None:
                inner[step] = {}
                tree.values[where[:depth]] = place
            inner = inner[step] if isinstance(inner, dict) else None
        if not isinstance(inner, dict):
            tree.problems.append(Problem(place, where, "cannot be set: what is around it is no map"))
            continue
        inner[where[-1]] = value
        for known in (tree.values, tree.keys):
            for at in [at for at in known if at[: len(where)] == where]:
                del known[at]
        tree.unusable -= {at for at in tree.unusable if at[: len(where)] == where}
        _place(tree, where, value, place)


def _place(tree: Tree, where: Where, value: object, place: Place) -> None:
    """Give `value` and all that is in it the same place."""
    tree.values[where] = place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in items:
        _place(tree, (*where, step), inner, place)
