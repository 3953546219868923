"""Whether the links have time for what is read on them: said above 60 % of it, refused where smoke would have to wait.

Smoke is read every 2 s, unless configured, and every 5 s at the latest. What counts is the longest that a smoke
detector can have to wait on a link that is never free: for the poll that is under way, at worst that of a device
without an answer, and for all smoke detectors in turn. Another detector without an answer is asked twice.
"""

from __future__ import annotations

from gateway.config.draft import Draft
from gateway.config.problems import listed
from gateway.config.schema import Link, SerialLink, TcpLink
from gateway.config.smoke import SMOKE_EVERY_S, SMOKE_WITHIN_S, is_looked_at, tells_of_smoke
from gateway.config.wires import DeviceLoad, LinkLoad, load_of, wire_of
from gateway.config.written import duration_text
from gateway.driver import Polled, Pushed

BUSY = 0.6
"""Of the time of a serial line; the rest is for faults, commands and devices that take longer than assumed."""

_NAMED = 3  # devices, of those that take most


def check_buses(draft: Draft) -> None:
    """Note and blame in the draft's tree. The devices meet their wires here."""
    for name, device in draft.devices.items():
        if device.every > SMOKE_WITHIN_S and is_looked_at(device.built) and tells_of_smoke(device.built):
            _blame_interval(draft, name, device.every)
        link = draft.links.get(device.link)
        wire = None if link is None else wire_of(link)
        if wire is not None and isinstance(device.built, Polled | Pushed):
            device.built.meet(wire)
    for name, link in draft.links.items():
        here = {own: it for own, it in draft.devices.items() if it.link == name and not draft.is_off(own)}
        load = load_of(link, here)
        if load is not None:
            _check_wait(draft, name, load, [own for own in load.devices if tells_of_smoke(here[own].built)])
            if isinstance(link, SerialLink) and load.share > BUSY:
                _note_load(draft, name, link, load)


def _blame_interval(draft: Draft, name: str, every: float) -> None:
    most, usual = duration_text(SMOKE_WITHIN_S), duration_text(SMOKE_EVERY_S)
    what = f"smoke has to be looked at every {most} at least, not every {duration_text(every)}"
    draft.tree.blame(("devices", name, "every"), f"{what}; leave it out for every {usual}")


def _check_wait(draft: Draft, name: str, load: LinkLoad, smoke: list[str]) -> None:
    detectors = {own: load.devices[own] for own in smoke}
    others = {own: it for own, it in load.devices.items() if own not in detectors}
    in_turn_s = sum(it.poll_s for it in detectors.values())
    longest_s = max((it.poll_s for it in others.values()), default=0.0)
    silent_s = max((it.absent_s for it in others.values()), default=0.0)
    if len(detectors) > 1:
        silent_s = max(silent_s, longest_s + max(2 * it.absent_s - it.poll_s for it in detectors.values()))
    wait_s = in_turn_s + max(longest_s, silent_s)
    if detectors and wait_s > SMOKE_WITHIN_S:
        parts = {
            f"{silent_s:.1f} s for a device that does not answer": silent_s if silent_s > longest_s else 0.0,
            f"{longest_s:.1f} s for a poll of {_first(others)}": longest_s if silent_s <= longest_s else 0.0,
            f"{in_turn_s:.1f} s for {_few(smoke)} in turn": in_turn_s,
        }
        why = " and ".join(part for part, seconds in parts.items() if seconds > 0.05)
        what = f"smoke can have to wait {wait_s:.1f} s here, {SMOKE_WITHIN_S:g} s is the most: {why}"
        remedy = _remedy(draft.links[name], waits=silent_s > max(longest_s, in_turn_s))
        another = f"put {_few(smoke)} on a port without the others" if others else "use another port too"
        draft.tree.blame_key(("links", name), f"{what}; {remedy}, or {another}")


def _remedy(link: Link, *, waits: bool) -> str:
    if waits and isinstance(link, SerialLink | TcpLink) and link.timeout is not None:
        return f"set a shorter `timeout` (it is {duration_text(link.timeout)})"
    if isinstance(link, SerialLink):
        return f"raise the `baudrate` (it is {link.baudrate}), read fewer points"
    return "read fewer points"


def _note_load(draft: Draft, name: str, link: SerialLink, load: LinkLoad) -> None:
    most = sorted(load.devices, key=lambda own: -load.devices[own].share)[:_NAMED]
    shares = listed(f"{own} {load.devices[own].share:.0%}" for own in most)
    late = "so not everything is read as often as it should be" if load.share > 1 else "and a fault makes polls late"
    draft.tree.note_key(
        ("links", name),
        f"reading its devices takes at least {load.share:.0%} of its time, {late}; raise the `baudrate`"
        f" (it is {link.baudrate}), set a longer `every`, read fewer points, or use another port too"
        f" (most is taken by {shares})",
    )


def _few(smoke: list[str]) -> str:
    return listed(smoke) if len(smoke) <= _NAMED else f"{len(smoke)} smoke detectors"


def _first(devices: dict[str, DeviceLoad]) -> str:
    return max(devices, key=lambda own: devices[own].poll_s, default="")
