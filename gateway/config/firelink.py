"""Outputs that could act on a certified fire system: sprinklers, extinguishing, its panel. Refused unless said twice.

- A device says what its outputs act on. `fire_system` is allowed at the gateway and at the device, or not at all: a
  certified system must not be delayed, silenced, inhibited or reset by what is no part of it.
- What looks like one by its name has to say what it is. Names are a hint, never a proof: one that does not look like a
  fire system is not questioned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gateway.config.draft import Draft
from gateway.config.schema import Device
from gateway.config.targets import writable

_LOOKS_LIKE = re.compile(
    r"sprinkler|extinguish|deluge|suppress|inergen|novec|fm-?200|fire-?pump|fire-?panel|fire-?alarm-?panel|facp|\bfacu\b"
    r"|smoke-?(vent|extract|damper)|fire-?(door|damper|shutter)|消防|喷淋|灭火|排烟",
    re.IGNORECASE,
)
_ALLOWED = "allow_fire_linkage: true"


def check_fire_linkage(draft: Draft) -> None:
    """Note the outputs that may act on a fire system without being allowed to."""
    allowed = draft.gateway is not None and draft.gateway.allow_fire_linkage
    for name, device in draft.devices.items():
        if not writable(device):
            _check_no_output(draft, name, device)
        elif device.acts_on == "fire_system":
            missing = list(_missing(allowed, device))
            if missing:
                told = "an output must not act on a certified fire system unless that is allowed twice; add"
                draft.tree.blame(("devices", name, "acts_on"), f"{told} `{_ALLOWED}` {' and '.join(missing)}")
        elif device.acts_on is None and (found := _LOOKS_LIKE.search(f"{name} {device.name}")) is not None:
            told = f"looks by its name ({found[0]}) as if its outputs acted on a fire system"
            draft.tree.blame_key(("devices", name), f"{told}; write `acts_on: site` if they do not, else fire_system")


def _missing(allowed: bool, device: Device) -> Iterator[str]:
    if not allowed:
        yield "below gateway"
    if not device.allow_fire_linkage:
        yield "at this device"


def _check_no_output(draft: Draft, name: str, device: Device) -> None:
    if device.acts_on is not None:
        draft.tree.blame_key(("devices", name, "acts_on"), "is of devices with outputs; leave it out")
    if device.allow_fire_linkage:
        draft.tree.blame_key(("devices", name, "allow_fire_linkage"), "is of devices with outputs; leave it out")


def linked(devices: Mapping[str, Device]) -> Iterator[str]:
    """The devices that act on a fire system, in words for `sitewarden check`."""
    for name, device in devices.items():
        if device.acts_on == "fire_system":
            yield f"device {name} acts on a fire system: who is responsible for that has to have agreed, in writing"
