"""The configuration's loader: YAML files become one frozen tree, or an error that tells all problems at once.

Invariants: what is loaded can be run as it stands, every reference in it resolved; nothing but ConfigError is raised
for any content of the files; what is disabled was checked like the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic_core import to_jsonable_python

from gateway.config.bykind import taken, whole
from gateway.config.crosscheck import check
from gateway.config.draft import Draft, drafted
from gateway.config.firelink import linked
from gateway.config.options import FindDriver
from gateway.config.points import believed
from gateway.config.problems import refusal
from gateway.config.profiles import Profiles
from gateway.config.schema import Config, Device, GatewayPart, Link, Response, Rule, Site, Storage, Uplink
from gateway.config.secrets import located
from gateway.config.sources import gathered, override
from gateway.config.targets import targets
from gateway.config.uplinkcheck import check_uplinks

NO_OVERRIDES: Mapping[tuple[str, ...], object] = MappingProxyType({})
_FILES = ("password_file", "proxy_password_file", "ca_file", "cert_file", "key_file")


def load(
    path: Path,
    *,
    find_driver: FindDriver,
    profile_folders: tuple[Path, ...],
    overrides: Mapping[tuple[str, ...], object] = NO_OVERRIDES,
) -> Config:
    """The configuration in the file or folder at `path`, with the values of `overrides` in place of the written ones.

    Profiles are looked for in `profiles/` beside the configuration, then in `profile_folders`. ConfigError tells every
    problem as `file:line:col: path.in.config: what is wrong; what would be right`.
    """
    tree = gathered(path)
    override(tree, overrides)
    if not isinstance(tree.value, dict) or (tree.problems and not tree.value):
        raise refusal(tree.problems)
    beside = path if path.is_dir() else path.parent
    folder = beside.resolve()
    profiles = Profiles((beside / "profiles", *profile_folders))
    draft = drafted(tree, find_driver, profiles)
    check(draft)
    check_uplinks(draft, folder)
    problems = [*tree.problems, *profiles.problems]
    if problems or draft.site is None or draft.gateway is None or draft.storage is None:
        raise refusal(problems)
    config = _finished(draft, draft.site, draft.gateway, draft.storage, folder)
    notes = (*map(str, sorted(tree.notes)), *profiles.replaced(), *_notes(config.devices))
    return replace(config, notes=notes)


def _finished(draft: Draft, site: Site, gateway: GatewayPart, storage: Storage, folder: Path) -> Config:
    """The tree without what is off; what hangs on something that is off, is off as well."""
    devices = {
        name: replace(device, points=believed(device.built.points, device.points, draft.points))
        for name, device in draft.devices.items()
        if not draft.is_off(name)
    }
    rules = {name: rule for name, rule in draft.rules.items() if rule.enabled and targets(rule, devices)}
    config = Config(
        site=site,
        gateway=gateway,
        storage=storage,
        uplinks={name: uplink for name, uplink in draft.uplinks.items() if uplink.enabled},
        links={name: link for name, link in draft.links.items() if link.enabled},
        devices=devices,
        rules={name: whole(rule, devices) for name, rule in rules.items()},
        responses={name: _switching(response, devices) for name, response in draft.responses.items()},
        responses_by_priority=draft.responses_by_priority,
        hours=draft.hours,
        fences=draft.fences,
        reporting=draft.reporting,
        report=draft.report,
        points=draft.points,
        hash="",
        folder=str(folder),
        off=tuple(_off(draft, devices)),
    )
    said = {name: tuple(taken(rule, config.rules[name])) for name, rule in rules.items()}
    uplinks = {name: _with_whole_names(uplink, folder) for name, uplink in config.uplinks.items()}
    by_kind = {name: words for name, words in said.items() if words}
    return replace(config, hash=_digest(config, draft), uplinks=uplinks, by_kind=by_kind)


def _switching(response: Response, devices: Mapping[str, Device]) -> Response:
    """The response as far as its outputs are in `devices`."""
    there = {output: to for output, to in response.set.items() if output.partition(".")[0] in devices}
    return replace(response, set=there)


def _off(draft: Draft, devices: Mapping[str, Device]) -> Iterator[str]:
    """What is left out, in words."""
    parts: dict[str, Mapping[str, Uplink | Link | Rule]] = {
        "uplink": draft.uplinks,
        "link": draft.links,
        "rule": draft.rules,
    }
    for kind, by_id in parts.items():
        yield from (f"{kind} {name}" for name, part in by_id.items() if not part.enabled)
    for name, device in draft.devices.items():
        if name not in devices:
            yield f"device {name}{'' if name in draft.disabled else _why_off(device)}"
    for name, rule in draft.rules.items():
        if rule.enabled and not targets(rule, devices):
            yield f"rule {name} (its devices are off)"
    for name, response in draft.responses.items():
        for output in sorted(response.set.keys() - _switching(response, devices).set.keys()):
            yield f"output {output} in response {name} (its device is off)"


def _why_off(device: Device) -> str:
    return f" (its link {device.link} is off)" if device.link else " (what it is made of is off)"


def _notes(devices: Mapping[str, Device]) -> Iterator[str]:
    """What the drivers have to say of themselves, in words."""
    for name, device in devices.items():
        yield from (f"device {name}: {note}" for note in device.built.notes)
    yield from linked(devices)


def _digest(config: Config, draft: Draft) -> str:
    """The name of these contents: the effective values with those of the profiles, wherever the files are."""
    values = _values(config, without=("hash", "folder", "off", "notes"))
    values["devices"] = {
        name: [_values(device, without=("built",)), draft.options[name]] for name, device in config.devices.items()
    }
    plain = to_jsonable_python(values, fallback=repr)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def _values(part: Config | Device, without: tuple[str, ...]) -> dict[str, object]:
    return {it.name: getattr(part, it.name) for it in fields(part) if it.name not in without}


def _with_whole_names(uplink: Uplink, folder: Path) -> Uplink:
    """The uplink with absolute names of its files, systemd's credentials among them."""
    named = {option: getattr(uplink, option) for option in _FILES}
    whole: dict[str, Any] = {option: str(located(name, folder)) for option, name in named.items() if name}
    return replace(uplink, **whole)
