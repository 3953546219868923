"""`sitewarden probe`: one Modbus unit, looked at: its registers with every believable reading, and which profile fits.

It only reads. Beside a daemon that attends the wire it asks through the daemon, between its polls.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from drivers.modbus_profile import Bus, Profile
from gateway.cli import FAILED, OK, default_config
from gateway.cli.probe_report import ENOUGH, REGISTERS, Probed, as_json, lines
from gateway.cli.progress import Bar
from gateway.cli.reach import reach
from gateway.cli.wire import Part, Wire, add_wire_arguments, chosen_wire
from gateway.commissioning import snippet
from gateway.commissioning.answers import Answers
from gateway.commissioning.matching import alike, candidates
from gateway.commissioning.ranges import Range, read_range
from gateway.config.installed import known_profiles
from gateway.config.problems import suggestion
from gateway.config.schema import SerialLink
from gateway.driver import Registers, Table
from gateway.errors import CannotCreate, SitewardenError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The wire, the unit, what to read of it, and what to write."""
    add_wire_arguments(parser)
    parser.add_argument("--state", type=Path, default=None, metavar="DIR", help="the daemon's state directory")
    parser.add_argument("--unit", type=_unit, required=True, metavar="N", help="its address on the bus, 1 to 255")
    tables = tuple(it.value for it in Table)
    parser.add_argument("--table", choices=tables, default=None, help="which registers or bits; default: all registers")
    parser.add_argument("--address", type=_register, default=0, metavar="N", help="the first, from 0; default: 0")
    parser.add_argument("--count", type=_count, default=20, metavar="N", help="how many; default: 20")
    parser.add_argument("--all", action="store_true", help="show readings that are hardly believable, too")
    point = "a register for a profile of its own, NAME=ADDRESS:TYPE[:ORDER][*SCALE], as in temperature=1:int16*0.1"
    parser.add_argument("--point", action="append", default=[], metavar="POINT", help=f"{point}; several times")
    profile = "write the configuration with this profile, whether it fits or not"
    parser.add_argument("--profile", default=None, metavar="NAME", help=profile)
    write = "write the configuration, and a profile if none fits, in place of showing it"
    parser.add_argument("--write", type=Path, default=None, metavar="FILE", help=write)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(args: argparse.Namespace) -> int:
    """Look at the unit and say what was seen; 1 if it does not answer."""
    wire = chosen_wire(args)
    tables = REGISTERS if args.table is None else (Table(args.table),)
    try:
        points = [snippet.chosen(written, tables[-1]) for written in args.point]
    except ValueError as error:
        args.wrong_usage(f"argument --point: {error}")
    profiles, problems = known_profiles((args.config or default_config()).parent)
    print("\n".join(problems), end="\n" if problems else "", file=sys.stderr)
    if args.profile is not None and args.profile not in profiles:
        raise SitewardenError(f"there is no profile {args.profile}", suggestion(args.profile, profiles))
    try:
        with reach(wire, args.state, "probe", f"unit {args.unit} on {wire.where}") as devices:
            through = "" if devices.via is None else f", through {devices.via}"
            head = f"unit {args.unit} on {wire.where}{through}"
            probed = _probed(devices, args, wire, tables, profiles, head)
    except KeyboardInterrupt:
        print("ended; nothing was changed", file=sys.stderr)
        return FAILED
    if args.json:
        print(json.dumps(as_json(probed), indent=2, ensure_ascii=False))
        return OK
    print("\n".join(lines(probed, everything=args.all)))
    _suggest(probed, points, args, wire, profiles)
    return OK


def _probed(
    devices: Registers,
    args: argparse.Namespace,
    wire: Wire,
    tables: Sequence[Table],
    profiles: Mapping[str, Profile],
    head: str,
) -> Probed:
    ranges = tuple(read_range(devices, args.unit, it, args.address, args.count) for it in tables)
    if not any(it.raw or it.refused for it in ranges):
        raise next(it.silence for it in ranges if it.silence is not None)
    answers = Answers(devices, args.unit)
    with Bar("trying profiles") as bar:
        for done, profile in enumerate(profiles.values()):
            bar.show(done / len(profiles))
            answers.ask(profile)
    return Probed(head, ranges, candidates(profiles, answers.seen, _settings(wire, args.unit)))


def _settings(wire: Wire, unit: int) -> Bus | None:
    part = wire.part
    return Bus(part.baudrate, part.parity, part.stopbits, unit) if isinstance(part, SerialLink) else None


# ---------------------------------------------------------------- what to write


def _suggest(
    probed: Probed,
    points: Sequence[snippet.Chosen],
    args: argparse.Namespace,
    wire: Wire,
    profiles: Mapping[str, Profile],
) -> None:
    """Show, or write, a configuration for the device, and a profile where none fits or points were chosen."""
    target: Path | None = args.write
    name = args.profile or next((it.profile for it in probed.matches if it.strength in ENOUGH), "")
    if name and not (args.profile or points) and alike(probed.matches):
        _leave_open(target)
        return
    part = None if args.link is not None else _anywhere(wire.part)
    link = args.link or "bus1"
    files: dict[Path, str] = {}
    if points or not name:
        name = f"unit-{args.unit}"
        device = snippet.Device(name, link, part, args.unit, name, beta=True)
        beside = Path("profiles") if target is None else target.parent / "profiles"
        chosen = points or _every(probed.ranges)
        files[beside / f"{name}.yaml"] = snippet.profile(f"unit {args.unit}", chosen, args.unit, part)
    else:
        device = snippet.Device(f"{name}-{args.unit}", link, part, args.unit, name, beta=profiles[name].beta)
    files[target or Path("site.yaml")] = snippet.configuration(device)
    for file, text in files.items():
        if target is None:
            print(f"\n# {file}\n{text}", end="")
        else:
            _write(file, text)


def _leave_open(target: Path | None) -> None:
    """A configuration with the wrong one of several profiles would show wrong values as good ones."""
    what, hint = (
        "which profile is for this device is not told by its registers",
        "see its label, then add --profile NAME",
    )
    if target is not None:
        raise SitewardenError(f"nothing is written: {what}", hint)
    print(f"\n{what}: {hint}")


def _anywhere(part: Part) -> Part:
    """The port by a name that holds in every folder."""
    return replace(part, port=os.path.abspath(part.port)) if isinstance(part, SerialLink) else part  # noqa: PTH100 - keeps links


def _every(ranges: Iterable[Range]) -> tuple[snippet.Chosen, ...]:
    found = next((it for it in ranges if it.raw), None)
    return () if found is None else snippet.all_registers(found.table, sorted(found.raw))


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise CannotCreate(f"{file} is there already", "name another file with --write") from None
    except OSError as error:
        raise CannotCreate(f"{file} cannot be written: {error.strerror}", "name another file with --write") from None
    print(f"\nwritten: {file}")


def _unit(written: str) -> int:
    return _number(written, 1, 255, "a unit id")


def _register(written: str) -> int:
    return _number(written, 0, 65535, "an address")


def _count(written: str) -> int:
    return _number(written, 1, 500, "how many")


def _number(written: str, least: int, most: int, what: str) -> int:
    """The number; argparse makes a message of the error."""
    if not (written.isascii() and written.isdecimal() and least <= int(written) <= most):
        raise argparse.ArgumentTypeError(f"{what} is {least} to {most}, not {written!r}")
    return int(written)
