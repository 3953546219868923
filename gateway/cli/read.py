"""`sitewarden read DEVICE`: one configured device, asked now, with or without a running daemon.

Beside a daemon that attends its link the question goes through the daemon, between its polls. Without `--config` it is
the daemon's own device, read by the driver that runs there; with it, the device as the file has it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.cli import FAILED, OK, default_config, default_state_dir
from gateway.cli.direct import Direct, opened, reading
from gateway.cli.reach import Reach, reach
from gateway.cli.status import asked, known
from gateway.cli.table import duration, table, value_text
from gateway.cli.talking import talking
from gateway.cli.wire import Wire
from gateway.commissioning.exchanges import Exchanged, exchanges, spaced
from gateway.config.installed import read_config
from gateway.config.schema import Config, Device, SerialLink, TcpLink
from gateway.driver import Derived, Polled, Pushed
from gateway.errors import LinkDown, SitewardenError
from gateway.hub.pointplan import calibrations as calibrations_of
from gateway.model import Calibration, Passing, Point, Reading, Value
from gateway.refine.quality import calibrated
from gateway.units import KINDS

LISTEN_S = 10.0
_ASK_S = 1.0  # after which a device that speaks when it is asked is asked again: its first line may not be whole


@dataclass(frozen=True, slots=True)
class Found:
    """What a device said: `head` says in words what it is and how it was reached; `why` it said nothing, if so."""

    device: str
    head: str
    points: tuple[Point, ...]
    values: Mapping[str, Value]
    quality: Mapping[str, str]  # of each point
    exchanged: tuple[Exchanged, ...] = ()
    why: SitewardenError | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which device, and what to show of it."""
    parser.add_argument("device", help="its id in the configuration")
    config = "read it as this configuration has it; default: as the running daemon has it, else ./sitewarden.yaml"
    parser.add_argument("--config", type=Path, default=None, metavar="FILE", help=config)
    parser.add_argument("--state", type=Path, default=None, metavar="DIR", help="the daemon's state directory")
    parser.add_argument("--timing", action="store_true", help="show how long each answer took")
    parser.add_argument("--raw", action="store_true", help="show the bytes of each request and answer")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(args: argparse.Namespace) -> int:
    """Ask and print; 1 if nothing was answered."""
    found = _found(args)
    if args.json:
        print(json.dumps(_as_json(found), indent=2, ensure_ascii=False))
    else:
        print("\n".join(lines(found, timing=args.timing, raw=args.raw)))
    return OK if found.why is None and found.values else FAILED


def _found(args: argparse.Namespace) -> Found:
    if args.config is None:
        state_dir = args.state or default_state_dir()
        status = asked(state_dir) if args.state is not None else known(state_dir)
        if status is not None:
            return _of_daemon(args.device, state_dir, status)
    return _of_config(args.device, read_config(args.config or default_config()), args.state)


# ---------------------------------------------------------------- the daemon's own device


def _of_daemon(name: str, state_dir: Path, status: Mapping[str, Any]) -> Found:
    devices = {it["device"]: it for it in status["about"]["devices"]}
    if name not in devices:
        raise SitewardenError(
            f"the running daemon has no device {name}",
            f"it has: {', '.join(devices) or 'none'}; --config FILE reads another",
        )
    device = devices[name]
    points = tuple(_point(it) for it in device["points"])
    if device["derived_from"]:
        made_of = ", ".join(device["derived_from"])
        return _last_said(name, f"{name}: {device['driver']}, made of {made_of}", points, status)
    head = f"{name}: {device['driver']} on link {device['link']}, through the running daemon"
    with talking(state_dir, device["link"], "read", name) as talk:
        try:
            said = talk.poll(name)
        except SitewardenError as fault:
            if "cannot be asked" in fault.what:  # it talks by itself: what it said last is known
                return _last_said(name, f"{head}: it talks by itself", points, status)
            return Found(name, head, points, {}, {}, exchanges(talk.passed()), fault)
        calibrations = {point: Calibration(**told) for point, told in device.get("calibrations", {}).items()}
        return _as_read(head, points, said, calibrations, talk.passed())


def _last_said(name: str, head: str, points: tuple[Point, ...], status: Mapping[str, Any]) -> Found:
    said = {it["point"]: it for it in status["points"] if it["device"] == name}
    values = {point: it["value"] for point, it in said.items() if it["value"] is not None}
    quality = {
        point: it["quality"] + (f", {duration(it['age_s'])} ago" if it["age_s"] is not None else "")
        for point, it in said.items()
    }
    return Found(name, f"{head}, this is what it said last", points, values, quality)


def _point(told: Mapping[str, Any]) -> Point:
    return Point(told["name"], told["kind"], KINDS[told["kind"]].form, told["unit"], told["writable"])


# ---------------------------------------------------------------- a device of a file


def _of_config(name: str, config: Config, state_dir: Path | None) -> Found:
    device = config.devices.get(name)
    if device is None:
        known_ids = ", ".join(config.devices) or "none"
        raise SitewardenError(f"the configuration has no device {name} that is enabled", f"it has: {known_ids}")
    with _reached(name, device, config, state_dir) as devices:
        through = "" if devices.via is None else f", through {devices.via}"
        head = f"{name}: {device.driver} on link {device.link}{through}"
        try:
            values = _said(device, devices)
        except LinkDown:
            raise
        except SitewardenError as fault:
            return Found(name, head, device.built.points, {}, {}, exchanges(devices.passed()), fault)
        said = reading(name, device.built, values)
        return _as_read(head, device.built.points, said, calibrations_of(device), devices.passed())


@contextmanager
def _reached(name: str, device: Device, config: Config, state_dir: Path | None) -> Iterator[Reach]:
    if isinstance(device.built, Derived):
        hint = f"read {' or '.join(device.built.sources)}, or ask the running daemon (without --config)"
        raise SitewardenError(f"{name} is made of other devices: nothing can be asked of it", hint)
    driver, part = device.built, config.links[device.link]
    if not isinstance(driver, Polled | Pushed):
        raise SitewardenError(f"{name} is only switched: it says nothing", "`sitewarden status` shows what is wanted")
    if isinstance(part, SerialLink | TcpLink):
        with reach(Wire(device.link, part), state_dir, "read", name, driver.family) as devices:
            yield devices
        return
    uses = [(use, device.every) for use in driver.pins]
    with opened(device.link, part, driver.family, uses, Path(config.folder)) as direct:
        yield direct


def _said(device: Device, devices: Reach) -> Mapping[str, Any]:
    """What its driver makes of what it says now; SitewardenError if it says nothing."""
    driver = device.built
    if isinstance(driver, Polled):
        return driver.poll(devices.offer if isinstance(devices, Direct) else devices)
    if not isinstance(driver, Pushed) or not isinstance(devices, Direct):
        raise SitewardenError("it talks by itself, to the running daemon", "leave out --config: what it said last")
    if driver.greeting:
        devices.offer.write(driver.greeting)
    found: dict[str, Any] = {}
    wanted = {point.name for point in driver.points}
    ask_at = time.monotonic()
    until = ask_at + LISTEN_S
    while wanted - found.keys() and (now := time.monotonic()) < until:
        if driver.request and now >= ask_at:
            devices.offer.write(driver.request)
            ask_at = now + _ASK_S
        for heard in devices.wait(min(until, ask_at) if driver.request else until):
            for values in driver.hear(heard):
                found |= values
    if not found:
        raise SitewardenError(
            f"it said nothing within {LISTEN_S:.0f} s", "check its power, its wiring and the baud rate"
        )
    return found


def _as_read(
    head: str,
    points: tuple[Point, ...],
    said: Reading,
    calibrations: Mapping[str, Calibration],
    passed: Iterable[Passing],
) -> Found:
    values = {
        point: calibrated(calibrations[point], value)
        if point in calibrations and isinstance(value, int | float)
        else value
        for point, value in said.values.items()
    }
    bad = {point: str(reason) for point, reason in said.bad.items()}
    quality = {point: "good, calibrated" if point in calibrations else "good" for point in values}
    return Found(said.device, head, points, values, {**quality, **bad}, exchanges(passed))


# ---------------------------------------------------------------- in words


def lines(found: Found, *, timing: bool, raw: bool) -> Iterator[str]:
    """The device's points, and on request what passed on the wire."""
    yield found.head
    yield ""
    if found.why is not None:
        yield str(found.why)
    else:
        yield from table(("POINT", "VALUE", "QUALITY"), map(_row(found), found.points), "no points")
    if not (timing or raw):
        return
    yield ""
    shown = spaced if raw else _size
    rows = ((_after(it), shown(it.sent), shown(it.received)) for it in found.exchanged)
    yield from table(("ANSWERED AFTER", "SENT", "RECEIVED"), rows, "nothing passed on the wire for this")


def _row(found: Found) -> Callable[[Point], tuple[str, str, str]]:
    def row(point: Point) -> tuple[str, str, str]:
        value = value_text(found.values.get(point.name), point.unit)
        return point.name, value, found.quality.get(point.name, "not said")

    return row


def _after(exchanged: Exchanged) -> str:
    return "no answer" if exchanged.after_s is None else f"{exchanged.after_s * 1000:.1f} ms"


def _size(data: bytes) -> str:
    return f"{len(data)} bytes" if data else "-"


def _as_json(found: Found) -> dict[str, Any]:
    return {
        "device": found.device,
        "reached": found.head,
        "error": None if found.why is None else {"what": found.why.what, "hint": found.why.hint},
        "points": [
            {
                "point": point.name,
                "kind": point.kind,
                "unit": point.unit,
                "value": found.values.get(point.name),
                "quality": found.quality.get(point.name),
            }
            for point in found.points
        ],
        "exchanges": [
            {
                "sent": it.sent.hex(),
                "received": it.received.hex(),
                "after_ms": None if it.after_s is None else round(it.after_s * 1000, 3),
            }
            for it in found.exchanged
        ],
    }
