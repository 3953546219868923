"""What a scan has found, as text for a person and as JSON for a program."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.cli.table import duration, table, value_text
from gateway.commissioning.matching import Match, alike
from gateway.commissioning.scanning import Found, Garbled, Results, Scope, where
from gateway.commissioning.survey import Settings, Sign, words

_SHOWN = 3  # profiles for each unit
_INDIFFERENT = 8  # so many units at one peer, and all that were asked: it does not look at the unit id
_NOBODY = (
    "nobody answered: check that the device has power, A and B (swap them: it does no harm), and that nothing else is "
    "master on this line; then ask for more: --units 1-247, --parities none,even,odd, --timeout 500ms, --thorough"
)
_NOBODY_TCP = "nobody answered: check the addresses, the TCP port, and that the peer lets one more client in"


def planned(scope: Scope) -> str:
    """What is going to be asked, and for how long at most."""
    what = f"{where(scope.parts[0])}" if len(scope.parts) == 1 else f"{len(scope.parts)} TCP peers"
    settings = f"{_count(len(scope.settings), 'setting')} x " if scope.settings else ""
    units = f"{_count(len(scope.units), 'unit id')} ({words(scope.units)})"
    questions = _count(len(scope.questions), "question")
    time = f"{duration(scope.estimate_s)}, and seconds more for each that answers"
    return f"scanning {what}: {settings}{units} x {questions}, {time}; Ctrl-C ends it"


def lines(results: Results, scope: Scope, took_s: float, *, stopped: bool) -> Iterator[str]:
    """All that was found, and what is to be known of it."""
    if results.found:
        rows = [(it.where, it.unit, it.settings or "-", _reaction(it), _likely(it)) for it in results.found]
        yield from table(("WHERE", "UNIT", "SETTINGS", "REACTION", "LOOKS LIKE"), rows, "")
    else:
        yield _NOBODY if scope.settings else _NOBODY_TCP
    for it in results.found:
        if it.matches:
            yield ""
            yield from _candidates(it)
    hints = [f"  {hint}" for hint in to_know(results, scope)]
    if hints:
        yield ""
        yield "To know:"
        yield from hints
    yield ""
    yield f"{'stopped' if stopped else 'done'} after {duration(took_s)} and {_count(results.requests, 'request')}"
    if results.found:
        yield f"next: {_next(results.found[0])}"


def to_know(results: Results, scope: Scope) -> Iterator[str]:
    """What was strange, each with what it may mean."""
    if results.ended is not None:
        yield f"the scan ended early: {results.ended}"
    for it in results.found:
        who, seen = f"unit {it.unit}{_at(it.settings)}", it.reaction
        if it.doubled:
            yield f"{who}: more than one reply came: two devices have this id, or another master asks as well"
        if seen.sign is Sign.LATE:
            yield f"{who}: it takes {_ms(seen.reply_s)} to answer: give its link a `timeout` of twice that"
    yield from _garbled_hints(results)
    for peer in {it.where for it in results.found if it.settings is None}:
        if len(scope.units) >= _INDIFFERENT and sum(it.where == peer for it in results.found) == len(scope.units):
            yield f"{peer}: it answers to every unit id that was asked, so it is one device that does not look at it"
    for why in dict.fromkeys(map(_reason, results.unusable.items())):
        names = [name for name, told in results.unusable.items() if _reason((name, told)) == why]
        yield f"{', '.join(names)}: {why}"


def _reason(unusable: tuple[str, str]) -> str:
    """Why it could not be used, without its name: many peers have one reason."""
    name, why = unusable
    return why.replace(f"wire ({name}): ", "")


def _garbled_hints(results: Results) -> Iterator[str]:
    right = {(it.where, it.settings) for it in results.found}
    seen: dict[tuple[str, Settings | None], list[Garbled]] = {}
    for it in results.garbled:
        seen.setdefault((it.where, it.settings), []).append(it)
    for (place, settings), garbled in seen.items():
        who = f"unit{'s' if len(garbled) > 1 else ''} {words([it.unit for it in garbled])}"
        what = garbled[0].detail.partition(": ")[2]
        if settings is None:
            yield f"{place}, {who}: something else than an answer, again and again ({what}): check --framing"
        elif (place, settings) in right:
            yield f"{who} at {settings}: garbled each time ({what}): two devices with one id, or a bad cable"
        else:
            other = "another baud rate or parity, a device that talks by itself, or another master on the line"
            yield f"{settings}: bytes came that are no reply, when asking {who} ({what}): {other}"


def _reaction(it: Found) -> str:
    seen = it.reaction
    detail = f" ({seen.detail.partition(': ')[2].partition(' (')[0]})" if seen.sign is Sign.REFUSED else ""
    return f"{seen.sign}{detail} in {_ms(seen.reply_s)}"


def _likely(it: Found) -> str:
    if not it.matches:
        return "no profile that is known here"
    near = alike(it.matches)
    if near:
        return f"{' or '.join(match.profile for match in near[:_SHOWN])}{' or more' if len(near) > _SHOWN else ''}"
    return f"{it.matches[0].profile} ({it.matches[0].strength})"


def _candidates(it: Found) -> Iterator[str]:
    yield f"unit {it.unit}{_at(it.settings)}, at {it.where}, would be read as"
    rows = [
        (f"  {match.profile}", match.model, match.strength, _values(match), match.why) for match in it.matches[:_SHOWN]
    ]
    yield from table(("  PROFILE", "MODEL", "FIT", "VALUES", "WHY"), rows, "")
    near = alike(it.matches)
    if near:
        names = ", ".join(match.profile for match in near)
        yield f"  not told apart by what was read: {names}. Look at the label; change what it measures and read again"


def _values(match: Match) -> str:
    told = [f"{name} {value_text(it.value, it.unit)}" for name, it in match.points.items() if it.value is not None]
    return ", ".join(told[:_SHOWN]) + (f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else "")


def _next(it: Found) -> str:
    if it.settings is None:
        return f"sitewarden probe --tcp {it.where} --unit {it.unit}"
    baudrate, parity, stopbits = it.settings
    more = f" --parity {parity}" if parity != "none" else ""
    more += f" --stopbits {stopbits}" if stopbits != 1 else ""
    return f"sitewarden probe --port {it.where} --baudrate {baudrate}{more} --unit {it.unit}"


def as_json(results: Results, took_s: float, *, stopped: bool) -> dict[str, object]:
    """All that was found."""
    return {
        "found": [_found_json(it) for it in results.found],
        "garbled": [
            {"where": it.where, **_settings_json(it.settings), "unit": it.unit, "detail": it.detail}
            for it in results.garbled
        ],
        "unusable": results.unusable,
        "requests": results.requests,
        "seconds": round(took_s, 1),
        "stopped": stopped,
        "ended": None if results.ended is None else str(results.ended),
    }


def _found_json(it: Found) -> dict[str, object]:
    return {
        "where": it.where,
        **_settings_json(it.settings),
        "unit": it.unit,
        "reaction": it.reaction.sign.value,
        "detail": it.reaction.detail,
        "reply_ms": round(it.reaction.reply_s * 1000, 1),
        "doubled": it.doubled,
        "alike": [match.profile for match in alike(it.matches)],
        "matches": [
            {
                "profile": match.profile,
                "model": match.model,
                "score": match.score,
                "fit": match.strength,
                "why": match.why,
                "values": {name: point.value for name, point in match.points.items()},
            }
            for match in it.matches
        ],
    }


def _settings_json(settings: Settings | None) -> dict[str, object]:
    return {} if settings is None else settings._asdict()


def _at(settings: Settings | None) -> str:
    return "" if settings is None else f" at {settings}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
