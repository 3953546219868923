"""The parts of a configuration, each by itself right; whether they fit together is crosscheck's question.

A part that is wrong by itself is missing here and its problems are in the tree; `Tree.section` still knows its id.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TypeVar

from gateway.config import schema
from gateway.config.options import FindDriver, built, found_driver, written_form
from gateway.config.points import KindPart
from gateway.config.problems import Tree, Where, shown, suggestion
from gateway.config.profiles import Profiles
from gateway.config.schema import (
    Config,
    Device,
    DeviceKeys,
    FencePart,
    GatewayPart,
    Hours,
    Link,
    Report,
    Reporting,
    Response,
    ResponsesByPriority,
    Rule,
    Site,
    Storage,
    Uplink,
)
from gateway.config.smoke import usual_every_s
from gateway.config.sources import BY_ID
from gateway.config.typed import fields, not_an_id, required, typed, unknown_key
from gateway.config.written import is_id
from gateway.driver import Derived, Driver

T = TypeVar("T")

LINKS: dict[str, type[Link]] = {
    "serial": schema.SerialLink,
    "tcp": schema.TcpLink,
    "gpio": schema.GpioLink,
    "files": schema.FilesLink,
    "replay": schema.ReplayLink,
}
TOP = {it.name: "" for it in dataclasses.fields(Config) if it.name not in {"hash", "folder", "off", "notes"}}


@dataclass
class Draft:
    """What of a configuration is right by itself."""

    tree: Tree
    site: Site | None = None
    gateway: GatewayPart | None = None
    storage: Storage | None = None
    reporting: Reporting = field(default_factory=Reporting)
    responses_by_priority: ResponsesByPriority = field(default_factory=ResponsesByPriority)
    uplinks: dict[str, Uplink] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    options: dict[str, object] = field(default_factory=dict)  # of the devices
    disabled: set[str] = field(default_factory=set)  # devices that are disabled by themselves
    without_usual_rules: set[str] = field(default_factory=set)  # devices
    rules: dict[str, Rule] = field(default_factory=dict)
    responses: dict[str, Response] = field(default_factory=dict)
    hours: dict[str, Hours] = field(default_factory=dict)
    fences: dict[str, FencePart] = field(default_factory=dict)
    report: dict[str, Report] = field(default_factory=dict)
    points: dict[str, KindPart] = field(default_factory=dict)

    def is_off(self, device: str) -> bool:
        """Whether a device is disabled, by itself, with its link, or with all that it is made of."""
        link, made = self.links.get(self.devices[device].link), self.devices[device].built
        if device in self.disabled or (link is not None and not link.enabled):
            return True
        return isinstance(made, Derived) and bool(made.sources) and all(map(self.is_off, made.sources))


def drafted(tree: Tree, find_driver: FindDriver, profiles: Profiles) -> Draft:
    """The parts of the map in `tree`; what is wrong goes to the tree's and the profiles' problems."""
    draft = Draft(tree)
    for name in tree.section():
        if name not in TOP:
            tree.blame_key((name,), unknown_key(name, TOP))
    for name in BY_ID:
        _check_map(tree, name)
    draft.site = _single(tree, "site", Site)
    draft.gateway = _single(tree, "gateway", GatewayPart)
    draft.storage = _single(tree, "storage", Storage) if tree.get(("storage",)) is not None else Storage()
    if tree.get(("reporting",)) is not None:
        draft.reporting = _single(tree, "reporting", Reporting) or draft.reporting
    by_priority = "responses_by_priority"
    if tree.get((by_priority,)) is not None:
        draft.responses_by_priority = _single(tree, by_priority, ResponsesByPriority) or draft.responses_by_priority
    draft.uplinks = _by_id(tree, "uplinks", Uplink)
    draft.rules = _by_id(tree, "rules", Rule)
    draft.responses = _by_id(tree, "responses", Response)
    draft.hours = _by_id(tree, "hours", Hours)
    draft.fences = _by_id(tree, "fences", FencePart)
    draft.report = _by_id(tree, "report", Report)
    draft.points = _by_id(tree, "points", KindPart)
    for name in tree.section("links"):
        link = _link(tree, name)
        if link is not None:
            draft.links[name] = link
    for name in tree.section("devices"):
        _add_device(draft, name, find_driver, profiles)
    return draft


def _check_map(tree: Tree, name: str) -> None:
    value = tree.get((name,))
    if not isinstance(value, dict | None):
        tree.blame((name,), f"must be a map, not {shown(value)}; write ids with their keys below it")
    for key in tree.section(name):
        if not is_id(key):
            tree.blame_key((name, key), not_an_id(key))


def _single(tree: Tree, name: str, kind: type[T]) -> T | None:
    value = tree.get((name,))
    if value is not None:
        return typed(kind, tree, (name,), value)
    if (name,) not in tree.unusable:
        tree.blame_key((name,), f"is missing; add `{name}:` with {', '.join(required(kind))} below it")
    return None


def _by_id(tree: Tree, name: str, kind: type[T]) -> dict[str, T]:
    found = {key: typed(kind, tree, (name, key), value) for key, value in tree.section(name).items()}
    return {key: part for key, part in found.items() if part is not None}


def _link(tree: Tree, name: str) -> Link | None:
    where = ("links", name)
    value = tree.get(where)
    if not isinstance(value, dict):
        return typed(schema.SerialLink, tree, where, value)  # no type can be told: any of them refuses it
    written = value.get("type")
    if isinstance(written, str) and written in LINKS:
        return typed(LINKS[written], tree, where, value)
    if (*where, "type") in tree.unusable:
        return None
    if written is None:
        tree.blame_key((*where, "type"), "is missing; add `type: serial`, tcp, gpio, files or replay")
    else:
        tree.blame((*where, "type"), f"there is no link type {shown(written)}; {suggestion(str(written), LINKS)}")
    return None


def _add_device(draft: Draft, name: str, find_driver: FindDriver, profiles: Profiles) -> None:
    """Add the device `name`, if it is right by itself."""
    tree, where = draft.tree, ("devices", name)
    value = tree.get(where)
    common = fields(DeviceKeys)
    if not isinstance(value, dict):
        typed(DeviceKeys, tree, where, value)
        return
    keys = typed(DeviceKeys, tree, where, {key: inner for key, inner in value.items() if key in common})
    driver = None
    written = value.get("driver")
    if isinstance(written, str) and is_id(written):
        driver = found_driver(written, find_driver, tree, (*where, "driver"))
    if driver is None:
        return
    options = fields(written_form(driver.options))
    for key in value:
        if key not in options and key not in common:
            tree.blame_key((*where, key), unknown_key(key, {**options, **common}))
    made = built(driver, tree, where, {key: inner for key, inner in value.items() if key in options}, profiles)
    if keys is None or not _has_right_link(tree, where, keys, driver) or made is None:
        return
    derived = isinstance(made[0], Derived)
    every = keys.every or (0.0 if derived else usual_every_s(made[0]))  # derivedcheck.py: as its sources
    draft.devices[name] = Device(
        driver=keys.driver,
        link=keys.link or "",
        name=keys.name or name,
        zone=keys.zone,
        every=every,
        built=made[0],
        report=keys.report,
        points=keys.points,
        acts_on=keys.acts_on,
        allow_fire_linkage=keys.allow_fire_linkage,
    )
    draft.options[name] = made[1]
    if not keys.enabled:
        draft.disabled.add(name)
    if not keys.usual_rules:
        draft.without_usual_rules.add(name)


def _has_right_link(tree: Tree, where: Where, keys: DeviceKeys, driver: type[Driver]) -> bool:
    """Whether there is a link where one is needed, and none where none is."""
    at = (*where, "link")
    if issubclass(driver, Derived):
        if keys.link is not None:
            tree.blame_key(at, f"{keys.driver} is made of other devices and has no link; leave it out")
        return keys.link is None
    if keys.link is None and at not in tree.unusable:
        tree.blame_key(at, "is missing; add `link: ...` (the link that it is connected to)")
    return keys.link is not None
