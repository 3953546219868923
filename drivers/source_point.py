"""The point of another device that a derived device is made of, as its options name it. Pure.

`option` is the option that names it, for what is told where there is no such thing: ValueError, in words for who
configures.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.driver import Placed
from gateway.model import Point


def device_named(name: str, option: str, devices: Sequence[Placed]) -> Placed:
    """The device of this id."""
    found = next((each for each in devices if each.device == name), None)
    if found is None:
        there = f"there are {', '.join(each.device for each in devices)}" if devices else "there is no other one"
        raise ValueError(f"{option}: there is no device {name!r}; {there}")
    return found


def point_named(
    written: str, option: str, kind: str, called: str, lacks: str, devices: Sequence[Placed]
) -> tuple[str, Point]:
    """The device and its point of a kind: `written` as device.point, or as a device that has one alone.

    `called`: what such a point is called for people; `lacks`: what is told of a device that has none.
    """
    device, _, name = written.partition(".")
    there = {each.name: each for each in device_named(device, option, devices).points if each.kind == kind}
    if not name and len(there) == 1:
        (name,) = there
    if name not in there:
        right = f"write one of {', '.join(there)} as device.point" if there else lacks
        raise ValueError(f"{option}: {device} has no {called} {name!r}; {right}" if name else f"{option}: {right}")
    return device, there[name]
