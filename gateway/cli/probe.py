"""`sitewarden probe`: one Modbus unit, looked at: its registers with every believable reading, and which profile fits.

It only reads. Beside a daemon that attends the wire it asks through the daemon, between its polls.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drivers.modbus_profile import Bus, Profile
from gateway.cli import FAILED, OK, default_config
from gateway.cli.progress import Bar
from gateway.cli.reach import reach
from gateway.cli.status import table, value_text
from gateway.cli.wire import Part, Wire, add_wire_arguments, chosen_wire
from gateway.commissioning import snippet
from gateway.commissioning.answers import Answers
from gateway.commissioning.decodings import Decoding, decodings
from gateway.commissioning.matching import Match, Verdict, alike, candidates
from gateway.commissioning.ranges import Range, read_range
from gateway.config.installed import known_profiles
from gateway.config.problems import suggestion
from gateway.config.schema import SerialLink
from gateway.driver import Registers, Table
from gateway.errors import CannotCreate, SitewardenError

_REGISTERS = (Table.INPUT, Table.HOLDING)
_SHOWN = 5  # profiles that may be meant
_ENOUGH = ("strong", "fair")  # to be suggested without being asked for


@dataclass(frozen=True, slots=True)
class Probed:
    """What became of it: the ranges as they were read, and the profiles that may be meant, best first."""

    head: str
    ranges: tuple[Range, ...]
    matches: tuple[Match, ...]


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
    tables = _REGISTERS if args.table is None else (Table(args.table),)
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
        print(json.dumps(_as_json(probed), indent=2, ensure_ascii=False))
        return OK
    print("\n".join(_lines(probed, everything=args.all)))
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


# ---------------------------------------------------------------- in words


def _lines(probed: Probed, *, everything: bool) -> Iterator[str]:
    yield probed.head
    for found in probed.ranges:
        yield ""
        if found.table in _REGISTERS:
            yield f"{found.table} registers" + _left_open(found)
            head = ("ADDRESS", "HEX", "UINT16", "OTHER", "FLOAT32", "INT32")
            yield from table(head, _register_rows(found, everything=everything), "none")
        else:
            yield f"{found.table} bits" + _left_open(found)
            yield from table(("ADDRESS", "BIT"), sorted(found.raw.items()), "none")
    yield ""
    matches = probed.matches[:_SHOWN]
    yield from table(("PROFILE", "MODEL", "FITS", "IT WOULD SAY"), map(_match_row, matches), "no profile fits")
    if matches and matches[0].strength not in _ENOUGH:
        yield "(too little speaks for one of these to be suggested; if it is the device, add --profile NAME)"
    elif alike(probed.matches):
        names = " and ".join(it.profile for it in alike(probed.matches))
        yield f"(the registers do not tell {names} apart: see what is printed on the device)"


def _left_open(found: Range) -> str:
    if found.silence is not None:
        return f": {found.silence.what}"
    if not found.refused:
        return ""
    return ": the device has none of these" if not found.raw else f": it does not have {_spans(found.refused)}"


def _spans(addresses: Sequence[int]) -> str:
    """Addresses in a row as from-to."""
    runs: list[list[int]] = []
    for it in addresses:
        if runs and it == runs[-1][-1] + 1:
            runs[-1].append(it)
        else:
            runs.append([it])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _register_rows(found: Range, *, everything: bool) -> Iterator[tuple[object, ...]]:
    by_address: dict[int, list[Decoding]] = {it: [] for it in found.raw}
    for decoding in decodings(found.raw):
        if decoding.believable or everything:
            by_address[decoding.address].append(decoding)
    for address, word in sorted(found.raw.items()):
        here = by_address[address]
        others = [it for it in here if it.order is None and it.type != "uint16"]
        floats = [it for it in here if it.type == "float32"]
        wide = [it for it in here if it.type in ("uint32", "int32")]
        yield address, f"{word:04X}", word, _listed(others), _listed(floats), _listed(wide)


def _listed(found: Iterable[Decoding]) -> str:
    return ", ".join(map(str, found)) or "-"


def _match_row(it: Match) -> tuple[str, str, str, str]:
    said = [
        f"{name} {value_text(fit.value, fit.unit)}"
        for name, fit in it.points.items()
        if fit.verdict in (Verdict.GOOD, Verdict.UNUSUAL) and fit.value is not None
    ]
    more = f", and {len(said) - 4} more" if len(said) > 4 else ""
    return it.profile, it.model, it.strength, ", ".join(said[:4]) + more


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
    name = args.profile or next((it.profile for it in probed.matches if it.strength in _ENOUGH), "")
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


def _as_json(probed: Probed) -> dict[str, Any]:
    return {
        "of": probed.head,
        "ranges": [
            {
                "table": it.table,
                "raw": it.raw,
                "refused": it.refused,
                "silence": None if it.silence is None else str(it.silence),
                "decodings": [found._asdict() for found in decodings(it.raw)] if it.table in _REGISTERS else [],
            }
            for it in probed.ranges
        ],
        "profiles": [
            {
                "profile": it.profile,
                "model": it.model,
                "score": it.score,
                "fits": it.fits,
                "strength": it.strength,
                "why": it.why,
                "values": {name: fit.value for name, fit in it.points.items()},
            }
            for it in probed.matches
        ],
    }


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
