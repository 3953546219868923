"""Whether the site, the links and the devices of a configuration fit together.

Buses are checked in buscheck.py, pins in pincheck.py, rules in rulecheck.py, responses in responsecheck.py, reports in
reportcheck.py, points in pointcheck.py, uplinks in uplinkcheck.py. What is disabled is checked as far as it stands by
itself, but is in nobody's way: a spare device may have the unit id of the one it is to replace.
"""

from __future__ import annotations

import os
import zoneinfo

from gateway.config.buscheck import check_buses
from gateway.config.derivedcheck import meet_sources
from gateway.config.draft import Draft
from gateway.config.fencecheck import check_fences
from gateway.config.firelink import check_fire_linkage
from gateway.config.pincheck import check_pins
from gateway.config.pointcheck import check_points
from gateway.config.problems import Where, listed, shown, suggestion
from gateway.config.reportcheck import check_reports
from gateway.config.responsecheck import check_reporting, check_responses
from gateway.config.rulecheck import check_hours, check_rules
from gateway.config.schema import SerialLink
from gateway.config.usualrules import add_usual_rules
from gateway.driver import Family

_FITTING = {
    Family.REGISTERS: ("serial", "tcp", "replay"),
    Family.STREAM: ("serial", "tcp", "replay"),
    Family.PINS: ("gpio", "replay"),
    Family.FILES: ("files", "replay"),
}
_MANNER = {
    Family.REGISTERS: "speaks Modbus",
    Family.STREAM: "talks by itself",
    Family.PINS: "sits on pins",
    Family.FILES: "is a file of the kernel",
}


def check(draft: Draft) -> None:
    """Note every misfit in the draft's tree."""
    if draft.site is not None:
        _check_timezone(draft, draft.site.timezone)
    if not draft.tree.section("devices"):
        draft.tree.blame_key(("devices",), "there are no devices; add one, as `sitewarden init` shows")
    check_fences(draft)
    meet_sources(draft)
    add_usual_rules(draft)
    _check_ports(draft)
    _check_links_of_devices(draft)
    _check_neighbours(draft)
    check_pins(draft)
    check_buses(draft)
    check_hours(draft)
    check_reporting(draft)
    check_rules(draft)
    check_responses(draft)
    check_reports(draft)
    check_points(draft)
    check_fire_linkage(draft)


def _check_timezone(draft: Draft, name: str) -> None:
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, malformed, or a folder of zones
        known = zoneinfo.available_timezones()
        if not known and name == "UTC":
            return  # a machine without time zone data
        hint = suggestion(name, known) if known else "this machine has no time zone data, install the package tzdata"
        if not hint.startswith(("did", "this")):
            hint = "write it as in Asia/Shanghai"
        draft.tree.blame(("site", "timezone"), f"there is no time zone {shown(name)}; {hint}")


def _check_ports(draft: Draft) -> None:
    taken: dict[str, str] = {}
    for name, link in draft.links.items():
        if not isinstance(link, SerialLink) or not link.enabled:
            continue
        first = taken.setdefault(os.path.realpath(link.port), name)  # by-id names lead to the same port
        if first != name:
            where = ("links", name, "port")
            line = _line(draft, ("links", first, "port"), where)
            draft.tree.blame(where, f"this port is {first}'s already ({line}); put the devices of one port on one link")


def _check_links_of_devices(draft: Draft) -> None:
    known = draft.tree.section("links")
    for name, device in draft.devices.items():
        if device.built.family is Family.NONE:
            continue
        where = ("devices", name, "link")
        if device.link not in known:
            draft.tree.blame(where, f"there is no link {shown(device.link)}; {suggestion(device.link, known)}")
            continue
        link = draft.links.get(device.link)
        fitting = _FITTING[device.built.family]
        if link is not None and link.type not in fitting:
            draft.tree.blame(
                where,
                f"{device.link} is a {link.type} link, but {device.driver} {_MANNER[device.built.family]};"
                f" use a {listed(fitting, 'or')} link",
            )


def _check_neighbours(draft: Draft) -> None:
    """One family and no double claim on each link."""
    families: dict[str, str] = {}  # link -> its first device
    claims: dict[tuple[str, str], str] = {}
    for name, device in draft.devices.items():
        link = draft.links.get(device.link)
        if draft.is_off(name) or link is None or link.type not in _FITTING[device.built.family]:
            continue
        first = families.setdefault(device.link, name)
        family = draft.devices[first].built.family
        if family != device.built.family:
            _blame_mixture(draft, name, first)
            continue
        for claim in device.built.claims:
            owner = claims.setdefault((device.link, claim), name)
            if owner != name:
                _blame_claim(draft, name, claim, owner)


def _blame_mixture(draft: Draft, name: str, first: str) -> None:
    device, other = draft.devices[name], draft.devices[first]
    where = ("devices", name, "link")
    line = _line(draft, ("devices", first), where)
    draft.tree.blame(
        where,
        f"{device.driver} {_MANNER[device.built.family]}, but {first} on {device.link} {_MANNER[other.built.family]}"
        f" ({line}); give this device a link of its own",
    )


def _blame_claim(draft: Draft, name: str, claim: str, owner: str) -> None:
    where: Where = ("devices", name)
    option = claim.split(" ", maxsplit=1)[0]
    if option in draft.tree.section(*("devices", name)):
        where = (*where, option)
    line = _line(draft, ("devices", owner), where)
    device = draft.devices[name]
    alone = device.built.family is Family.STREAM
    hint = "give this device a link of its own" if alone else f"no two devices of one link can have the same {option}"
    draft.tree.blame_key(where, f"{claim} of {device.link} is {owner}'s already ({line}); {hint}")


def _line(draft: Draft, where: Where, seen_from: Where) -> str:
    """Where something else is, in short if it is in the same file."""
    place, here = draft.tree.key_place(where), draft.tree.place(seen_from)
    return f"line {place.line}" if place.file == here.file and place.line else str(place)
