"""What `sitewarden probe` has seen, in words and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.cli.table import table, value_text
from gateway.commissioning.decodings import Decoding, decodings
from gateway.commissioning.matching import Match, Verdict, alike
from gateway.commissioning.ranges import Range
from gateway.driver import Table

REGISTERS = (Table.INPUT, Table.HOLDING)
_SHOWN = 5  # profiles that may be meant
ENOUGH = ("strong", "fair")
"""How strong a match has to be to be suggested without being asked for."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What became of it: the ranges as they were read, and the profiles that may be meant, best first."""

    head: str
    ranges: tuple[Range, ...]
    matches: tuple[Match, ...]


def lines(probed: Probed, *, everything: bool) -> Iterator[str]:
    """In words; `everything`: with the readings that are hardly believable."""
    yield probed.head
    for found in probed.ranges:
        yield ""
        if found.table in REGISTERS:
            yield f"{found.table} registers" + _left_open(found)
            head = ("ADDRESS", "HEX", "UINT16", "OTHER", "FLOAT32", "INT32")
            yield from table(head, _register_rows(found, everything=everything), "none")
        else:
            yield f"{found.table} bits" + _left_open(found)
            yield from table(("ADDRESS", "BIT"), sorted(found.raw.items()), "none")
    yield ""
    matches = probed.matches[:_SHOWN]
    yield from table(("PROFILE", "MODEL", "FITS", "IT WOULD SAY"), map(_match_row, matches), "no profile fits")
    if matches and matches[0].strength not in ENOUGH:
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


def as_json(probed: Probed) -> dict[str, Any]:
    """All of it."""
    return {
        "of": probed.head,
        "ranges": [
            {
                "table": it.table,
                "raw": it.raw,
                "refused": it.refused,
                "silence": None if it.silence is None else str(it.silence),
                "decodings": [found._asdict() for found in decodings(it.raw)] if it.table in REGISTERS else [],
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
