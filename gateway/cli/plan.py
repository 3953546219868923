"""`sitewarden plan`: what is asked of each Modbus device, how long that takes on its wire, and how busy the wire is.

The times are arithmetic (`gateway/wiretime.py`); `sitewarden status` has the measured ones. What a device has refused
or kept silent about is known to the daemon that reads it: with `--state` its reads are shown as they are now.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from gateway.cli import OK, add_config_arguments, default_config
from gateway.cli.check import link_text
from gateway.cli.table import table
from gateway.config.installed import read_config
from gateway.config.schema import Config, Link, TcpLink
from gateway.config.sources import read_settings
from gateway.config.wires import FAR_BAUDRATE, DeviceLoad, LinkLoad, load_of, share_text
from gateway.config.written import duration_text
from gateway.control import ask
from gateway.driver import PlannedRead, Table
from gateway.errors import SitewardenError
from gateway.wiretime import WireTime

FUNCTIONS = {Table.COIL: 1, Table.DISCRETE: 2, Table.HOLDING: 3, Table.INPUT: 4}
_NAMED = 4  # points of one read; all of them are in the JSON

_READS = ("DEVICE", "UNIT", "FUNCTION", "ADDRESS", "COUNT", "UNUSED", "TIME", "POINTS")
_DEVICES = ("DEVICE", "EVERY", "READS", "TIME", "LOAD", "")


class LinkPlan(NamedTuple):
    """One link, what its devices ask of it, and which of them ask otherwise than planned."""

    name: str
    text: str
    assumed: str
    load: LinkLoad
    learned: frozenset[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration, a running daemon, and how to print."""
    add_config_arguments(parser)
    learned = (
        "of the daemon that runs with this configuration: show its reads as they are now, with what it has learned"
    )
    parser.add_argument("--state", type=Path, default=None, metavar="DIR", help=learned)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the plan; ConfigError or SitewardenError where there is none."""
    config = read_config(args.config or default_config(), read_settings(dict(args.set)))
    now = {} if args.state is None else reads_now(_status(args.state, config))
    plans = list(link_plans(config, now))
    if args.json:
        print(json.dumps({"links": [_as_json(plan) for plan in plans]}, indent=2, ensure_ascii=False))
    else:
        print("\n".join(lines(plans)) or "there is no link with Modbus devices")
    return OK


def _status(state_dir: Path, config: Config) -> Mapping[str, Any]:
    """That of the daemon there, if it runs with this configuration; else SitewardenError."""
    status = ask(state_dir, {"ask": "status"})
    if status["about"]["config"] != config.hash:
        what = f"the daemon of {state_dir} runs with another configuration, {status['about']['config']}"
        raise SitewardenError(
            what, f"this one is {config.hash}; name that one's file, or restart the daemon with this one"
        )
    return status


def reads_now(status: Mapping[str, Any]) -> dict[str, tuple[PlannedRead, ...]]:
    """The reads of each device in a daemon's status."""
    return {
        device["device"]: tuple(
            PlannedRead(0, Table(it["table"]), it["address"], it["size"], tuple(it["points"]), it["used"])
            for it in device["reads"]
        )
        for link in status["health"]["links"]
        for device in link["devices"]
    }


def link_plans(config: Config, now: Mapping[str, tuple[PlannedRead, ...]]) -> Iterator[LinkPlan]:
    """The links of Modbus devices; where a device's reads are others `now`, with those."""
    for name, link in config.links.items():
        load = load_of(link, {own: it for own, it in config.devices.items() if it.link == name})
        if load is None:
            continue
        devices = {own: _as_learned(it, now.get(own, ()), load.wire) for own, it in load.devices.items()}
        learned = frozenset(own for own, it in devices.items() if it.reads != load.devices[own].reads)
        yield LinkPlan(name, link_text(link), _assumed(link, load.wire), LinkLoad(load.wire, devices), learned)


def _assumed(link: Link, wire: WireTime) -> str:
    """What the times depend on and the configuration does not say."""
    turnaround = f"{wire.turnaround_s * 1000:g} ms for a device to answer"
    if not isinstance(link, TcpLink):
        return turnaround
    if link.framing == "rtu":
        return f"{FAR_BAUDRATE} baud behind the serial server, {turnaround}"
    return f"{wire.turnaround_s * 1000:g} ms for a round trip"


def _as_learned(load: DeviceLoad, now: tuple[PlannedRead, ...], wire: WireTime) -> DeviceLoad:
    if not now or not load.reads:
        return load
    reads = tuple(it._replace(unit=load.reads[0].unit) for it in now)
    return replace(load, reads=reads, poll_s=sum(it.wire_s(wire) for it in reads))


def lines(plans: list[LinkPlan]) -> Iterator[str]:
    """The plans as text."""
    for place, plan in enumerate(plans):
        if place:
            yield ""
        load, worth = plan.load, plan.load.wire.gap_registers
        yield f"{plan.name}: {plan.text}"
        yield (
            f"  All devices once: {_ms(load.cycle_s)}. Reading takes {share_text(load.share)} of the time."
            f" Assumed: {plan.assumed}."
        )
        gap = "any length" if worth == inf else f"up to {int(worth)} registers"
        yield f"  A gap of {gap} takes less time than one read more; `max_gap` limits it, too."
        yield ""
        yield from _indented(table(_READS, _read_rows(plan), "no device tells beforehand what it asks"))
        yield ""
        yield from _indented(table(_DEVICES, _device_rows(plan), ""))


def _indented(text: Iterable[str]) -> Iterator[str]:
    return (f"  {line}".rstrip() for line in text)


def _read_rows(plan: LinkPlan) -> Iterator[tuple[object, ...]]:
    for name, device in plan.load.devices.items():
        for read in device.reads:
            points = ", ".join(read.points[:_NAMED])
            more = f" and {len(read.points) - _NAMED} more" if len(read.points) > _NAMED else ""
            function = f"{FUNCTIONS[read.table]} {read.table}"
            time = _ms(read.wire_s(plan.load.wire))
            yield name, read.unit, function, read.address, read.size, read.size - read.used, time, points + more


def _device_rows(plan: LinkPlan) -> Iterator[tuple[object, ...]]:
    for name, device in plan.load.devices.items():
        note = "learned from its answers" if name in plan.learned else ""
        told = (len(device.reads), _ms(device.poll_s), share_text(device.share)) if device.reads else ("-", "-", "-")
        yield name, duration_text(device.every), *told, note


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _as_json(plan: LinkPlan) -> dict[str, object]:
    wire = plan.load.wire
    return {
        "link": plan.name,
        "what": plan.text,
        "assumed": plan.assumed,
        "character_s": wire.character_s,
        "silence_s": wire.silence_s,
        "guard_s": wire.guard_s,
        "switching_s": wire.switching_s,
        "turnaround_s": wire.turnaround_s,
        "gap_registers": None if wire.gap_registers == inf else wire.gap_registers,
        "cycle_s": plan.load.cycle_s,
        "load": plan.load.share,
        "devices": [
            {
                "device": name,
                "every_s": device.every,
                "poll_s": device.poll_s,
                "unanswered_s": device.absent_s,
                "load": device.share,
                "learned": name in plan.learned,
                "reads": [_read_as_json(read, wire) for read in device.reads],
            }
            for name, device in plan.load.devices.items()
        ],
    }


def _read_as_json(read: PlannedRead, wire: WireTime) -> dict[str, object]:
    return {
        "unit": read.unit,
        "function": FUNCTIONS[read.table],
        "table": read.table,
        "address": read.address,
        "count": read.size,
        "unused": read.size - read.used,
        "wire_s": read.wire_s(wire),
        "points": read.points,
    }
