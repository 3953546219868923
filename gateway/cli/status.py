"""`sitewarden status`: what the running daemon knows, as tables for a person or as JSON for a program."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gateway.cli import OK, default_state_dir
from gateway.cli.alarm_list import alarm_lines
from gateway.cli.table import clock, duration, screen_width, table, value_text
from gateway.control import ask
from gateway.errors import SitewardenError
from gateway.model import Trust


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the daemon is, and how to print."""
    parser.add_argument("--state", type=Path, default=None, metavar="DIR", help="the daemon's state directory")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(args: argparse.Namespace) -> int:
    """Ask the daemon and print its answer."""
    status = asked(args.state or default_state_dir())
    if args.json:
        print(json.dumps(status, indent=2, ensure_ascii=False))
    else:
        print("\n".join(lines(status, screen_width())))
    return OK


def asked(state_dir: Path) -> dict[str, Any]:
    """The daemon's answer; SitewardenError if there is none."""
    return ask(state_dir, {"ask": "status"})


def known(state_dir: Path) -> dict[str, Any] | None:
    """The daemon's answer, if one is running there that may be asked."""
    try:
        return asked(state_dir)
    except SitewardenError:
        return None


def lines(status: dict[str, Any], width: int | None = None) -> Iterable[str]:
    """The whole status as text; what is told in words is folded at `width` characters."""
    about, health = status["about"], status["health"]
    yield (
        f"{about['site_name'] or about['site']} / {about['gateway']}   up {duration(status['uptime_s'])}   "
        f"{clock(status['ts'])} UTC ({status['trust']})   run {status['run']}"
    )
    yield ""
    yield from alarm_lines(status["alarms"], status["ts"], width)
    yield from _alarm_load(health["alarms"])
    yield ""
    yield from table(("POINT", "VALUE", "AGE", "QUALITY", "ZONE"), map(_point_row, status["points"]), "no points")
    yield ""
    calibrations = list(_calibration_rows(about["devices"]))
    if calibrations:
        yield from table(("CALIBRATED", "CORRECTION", "CERTIFICATE", "OF", "DUE"), calibrations, "")
        yield ""
    yield from table(("OUTPUT", "WANTED"), status["outputs"].items(), "no outputs")
    yield ""
    yield from link_tables(health["links"])
    yield ""
    if health["doubted"]:
        doubted = ((device, _counts(why)) for device, why in health["doubted"].items())
        yield from table(("DEVICE", "NOT BELIEVED"), doubted, "")
        yield ""
    yield from table(
        ("UPLINK", "STATE", "IN FLIGHT", "ACKNOWLEDGED", "LAST", "BACKLOG"),
        _uplink_rows(health, status["ts"]),
        "no uplinks yet",
    )
    if health["certificates"]:
        yield ""
        rows = (_certificate_row(certificate, status) for certificate in health["certificates"])
        yield from table(("UPLINK", "CERTIFICATE", "NAME", "VALID UNTIL (UTC)", "LEFT"), rows, "")
    journal = health["journal"]
    if journal is not None:
        yield ""
        yield (
            f"journal: {journal['state']}, {journal['rows']} rows, {journal['bytes'] / 1e6:.1f} MB, "
            f"{journal['waiting']} waiting, {journal['dropped']} dropped"
        )


def link_tables(links: Sequence[dict[str, Any]]) -> Iterable[str]:
    """Each link's wire, and each device: how often it is to be asked and really is, and how it answers."""
    head: tuple[str, ...] = ("LINK", "STATE", "LOAD", "REQUESTS", "P50", "P95", "FAILURES")
    yield from table(head, map(_link_row, links), "no links yet")
    yield ""
    head = ("DEVICE", "LINK", "STATE", "EVERY", "REALLY", "POLLS", "REQUESTS", "P50", "P95", "FAILURES")
    yield from table(head, _device_rows(links), "no devices yet")


def _alarm_load(load: dict[str, Any] | None) -> Iterable[str]:
    """What of the load of alarms is worth a line."""
    if load is None:
        return
    if load["flood"]:
        yield f"a flood: {load['last_10_min']} new alarms in the last 10 minutes; low ones are told together"
    if load["stale"]:
        yield f"stale, active for more than a day: {', '.join(load['stale'])}"
    if load["most_in_a_day"]:
        yield "most often in a day: " + ", ".join(f"{alarm} {count} x" for alarm, count in load["most_in_a_day"])


def _point_row(point: dict[str, Any]) -> tuple[object, ...]:
    return (
        f"{point['device']}.{point['point']}",
        value_text(point["value"], point["unit"]),
        duration(point["age_s"]),
        point["quality"],
        point["zone"],
    )


def _link_row(link: dict[str, Any]) -> tuple[object, ...]:
    load = "-" if link["load"] is None else f"{link['load']:.0%}"
    state = "up" if link["up"] else "down"
    return link["link"], state, load, link["requests"], *_responses(link), _failures(link)


def correction(scale: float, offset: float, unit: str) -> str:
    """What a calibration does to a value, in words."""
    parts = ([f"x {scale:.6g}"] if scale != 1 else []) + ([f"{offset:+.6g} {unit}".rstrip()] if offset else [])
    return " ".join(parts) or "none needed"


def _calibration_rows(devices: Iterable[dict[str, Any]]) -> Iterable[tuple[object, ...]]:
    for device in devices:
        units = {point["name"]: point["unit"] for point in device["points"]}
        for name, it in device["calibrations"].items():
            told = (it[key] or "-" for key in ("certificate", "date", "due"))
            yield f"{device['device']}.{name}", correction(it["scale"], it["offset"], units[name]), *told


def _device_rows(links: Iterable[dict[str, Any]]) -> Iterable[tuple[object, ...]]:
    for link in links:
        for device in link["devices"]:
            yield (
                device["device"],
                link["link"],
                device["state"],
                duration(device["every_s"]),
                interval(device["interval_s"]),
                device["polls"],
                device["requests"],
                *_responses(device),
                _failures(device),
            )


def interval(seconds: float | None) -> str:
    """How often something really happens; "-" for None. Below a minute with the digits that tell a poll too late."""
    return f"{seconds:.2f} s" if seconds is not None and seconds < 60 else duration(seconds)


def _responses(of: dict[str, Any]) -> tuple[str, str]:
    """In which time half and 95 of 100 requests were answered."""
    p50_ms, p95_ms = of["response_p50_ms"], of["response_p95_ms"]
    return ("-", "-") if p50_ms is None else (f"{p50_ms:.0f} ms", f"{p95_ms:.0f} ms")


def _failures(of: dict[str, Any]) -> str:
    return _counts(of["failures"]) or "none"


def _counts(of: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in of.items())


def _certificate_row(certificate: dict[str, Any], status: dict[str, Any]) -> tuple[object, ...]:
    left_s = (certificate["until"] - status["ts"]) / 1000
    left = "expired" if left_s <= 0 else duration(left_s)
    judged = left if status["trust"] != Trust.UNSYNCED else "not judged: the clock is not set"
    return certificate["uplink"], certificate["which"], certificate["name"], clock(certificate["until"]), judged


def _uplink_rows(health: dict[str, Any], ts: int) -> Iterable[tuple[object, ...]]:
    backlog = health["journal"]["backlog"] if health["journal"] is not None else {}
    for uplink in health["uplinks"]:
        last = uplink["last_ack"]
        ago = "never" if last is None else f"{duration(max(0.0, (ts - last) / 1000))} ago"
        waiting = backlog.get(uplink["uplink"], "-")
        state = f"{uplink['state']}, {uplink['url']}" if uplink.get("url") else uplink["state"]
        if uplink.get("unconfirmed"):
            state = f"{state}, {uplink['unconfirmed']} records wait for the platform's word"
        if uplink.get("bad_confirmations"):
            state = f"{state}, {uplink['bad_confirmations']} confirmations meant nothing"
        yield uplink["uplink"], state, uplink["in_flight"], uplink["acked"], ago, waiting
