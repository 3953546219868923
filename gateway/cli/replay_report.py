"""What a replay has found: as tables for a person, as JSON for a program, as the contents of a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from gateway.cli.journal_tail import printable
from gateway.cli.replay_notes import notes
from gateway.cli.table import duration, table
from gateway.journal.past import Past
from gateway.model import Json
from gateway.replaying.comparing import Comparison, Pair, Verdict, compared
from gateway.replaying.exported import Export
from gateway.replaying.happened import Happened
from gateway.replaying.history import Episode, History
from gateway.replaying.page import Line, Page, Plot, Table, time_text
from gateway.replaying.traces import Traces
from gateway.replaying.trial import Trial, rules_by_alarm
from gateway.rules.condition import AtLeast, Condition
from gateway.rules.judge import Rule

_SHOWN = 40
_DAY_MS = 86_400_000
_LOAD = ("", "ALARMS", "A DAY", "MOST IN 10 MIN", "FLOODS", "IN FLOOD", "HELD FOR CHATTERING")
_DIFFERENCES = ("WHEN (UTC)", "ALARM", "DIFFERENCE")
_GAP_MS = 1_000


class Report(NamedTuple):
    """The trial, and what it is shown beside: another trial, or what happened."""

    tried: Trial
    other: Trial | None
    happened: Happened
    source: Past | Export
    traces: Traces | None
    interrupted: bool

    @property
    def beside(self) -> History:
        """What it is shown beside."""
        return self.happened.history if self.other is None else self.other.history

    @property
    def name(self) -> str:
        """What that is called."""
        return "HAPPENED" if self.other is None else "COMPARED"


class _Found(NamedTuple):
    """What is made of a report once: the rules by alarm, and alarm by alarm what became of them."""

    rules: Mapping[str, tuple[Rule, tuple[tuple[str, str], ...]]]
    comparisons: list[Comparison]


def _found(report: Report) -> _Found:
    rules = rules_by_alarm(report.tried.plan)
    return _Found(rules, compared(report.beside, report.tried.history, tuple(rules)))


def lines(report: Report) -> Iterator[str]:
    """Everything as text."""
    found = _found(report)
    yield from _intro(report)
    yield ""
    yield from table(_head(report), list(_rows(report, found)), "no rules, and no alarms")
    yield ""
    differences = _differences(found.comparisons)
    rows = [_difference(pair) for pair in differences[:_SHOWN]]
    yield from table(_DIFFERENCES, rows, "no difference: every alarm comes and goes as it did")
    if len(differences) > _SHOWN:
        yield f"and {len(differences) - _SHOWN} more; --json and --html have them all"
    yield ""
    yield from table(_LOAD, _load_rows(report), "")
    yield ""
    yield from (f"- {note}" for note in _notes(report, found))


def page(report: Report) -> Page:
    """The same for a page, with plots."""
    found = _found(report)
    about = report.tried.plan.about
    differences = [_difference(pair) for pair in _differences(found.comparisons)]
    return Page(
        title=f"Rules tried on the past: {about.site_name or about.site} / {about.gateway}",
        intro=tuple(_intro(report)),
        beside="what happened" if report.other is None else "the configuration compared with",
        band="happened" if report.other is None else "compared",
        from_ts=report.source.from_ts,
        to_ts=report.tried.last_ts,
        tables=(
            Table("Alarms", _head(report), list(_rows(report, found))),
            Table("Differences", _DIFFERENCES, differences),
            Table("Load", _LOAD, list(_load_rows(report))),
        ),
        plots=_plots(report, found),
        notes=tuple(_notes(report, found)),
    )


def as_json(report: Report) -> dict[str, Json]:
    """The same for a program; times are UTC ms."""
    tried, source = report.tried, report.source
    found = _found(report)
    return {
        "from": source.from_ts,
        "to": tried.last_ts,
        "readings": tried.readings,
        "values": tried.values,
        "runs": tried.runs,
        "config": tried.plan.about.config,
        "compared_with": None if report.other is None else report.other.plan.about.config,
        "recorded_under": report.happened.configs,
        "interrupted": report.interrupted,
        "alarms": [_alarm_as_json(it, found.rules) for it in found.comparisons],
        "load": {"beside": _load_as_json(report.beside), "tried": _load_as_json(tried.history)},
        "gaps": report.happened.gaps,
        "damaged": source.damaged + report.happened.damaged,
        "unknown_devices": tried.unknown,
        "without_values": {device: sorted(points) for device, points in tried.silent.items()},
        "notes": list(_notes(report, found)),
    }


def _intro(report: Report) -> Iterator[str]:
    tried = report.tried
    span = f"{time_text(report.source.from_ts)} to {time_text(tried.last_ts)} UTC"
    runs = "1 run" if tried.runs == 1 else f"{tried.runs} runs"
    yield f"{span}: {tried.values:,} values in {tried.readings:,} readings of {runs}"
    if report.other is not None:
        yield f"Tried: configuration {tried.plan.about.config}, beside {report.other.plan.about.config}."
    elif report.source.has_events:
        ran = ", ".join(map(printable, report.happened.configs)) or "one that is not known any more"
        yield f"Tried: configuration {tried.plan.about.config}, beside what happened, under {ran}."
    else:
        yield f"Tried: configuration {tried.plan.about.config}; what happened is not known, for no events were given."


def _notes(report: Report, found: _Found) -> Iterator[str]:
    whole = all(it.is_whole for it in found.comparisons)
    return notes(report.tried, report.happened, report.source, whole=whole, interrupted=report.interrupted)


def _head(report: Report) -> tuple[str, ...]:
    return ("ALARM", report.name, "TRIED", "SAME", "MOVED", "NEW", "GONE", f"STOOD ({report.name})", "STOOD (TRIED)")


def _rows(report: Report, found: _Found) -> Iterator[tuple[object, ...]]:
    silent = report.tried.silent
    for it in found.comparisons:
        counts = (it.count(verdict) for verdict in (Verdict.SAME, Verdict.MOVED, Verdict.NEW, Verdict.GONE))
        _, places = found.rules.get(it.alarm, (None, ()))
        tried: object = it.tried.raised if places else "no such rule"
        if places and all(point in silent.get(device, ()) for device, point in places):
            tried = f"{it.tried.raised}, no values"
        yield it.alarm, it.happened.raised, tried, *counts, _stood(it.happened.stood_ms), _stood(it.tried.stood_ms)


def _stood(ms: int) -> str:
    return duration(ms / 1000) if ms else "-"


def _differences(comparisons: Sequence[Comparison]) -> list[Pair]:
    pairs = chain.from_iterable(it.pairs for it in comparisons)
    return sorted((pair for pair in pairs if pair.verdict is not Verdict.SAME), key=lambda pair: (pair.ts, pair.alarm))


def _difference(pair: Pair) -> tuple[str, str, str]:
    return time_text(pair.ts) if pair.ts else "before", pair.alarm, _in_words(pair)


def _in_words(pair: Pair) -> str:
    match pair.happened, pair.tried:
        case (Episode() as was, None):
            return f"would not come; it stood {_how_long(was)}"
        case (None, Episode() as tried):
            return f"would come, and stand {_how_long(tried)}"
        case (Episode() as was, Episode() as tried):
            parts = [_moved("comes", was.began, tried.began), _moved("goes", was.ended, tried.ended)]
            return ", ".join(part for part in parts if part)
    return ""


def _how_long(it: Episode) -> str:
    if it.ended is None:
        return "to the end" if it.began is None else f"from {time_text(it.began)} to the end"
    return f"until {time_text(it.ended)}" if it.began is None else duration((it.ended - it.began) / 1000)


def _moved(what: str, was: int | None, tried: int | None) -> str:
    if was is None or tried is None:
        if was is tried:
            return ""
        missing = "before this time" if what == "comes" else "never"
        return (
            f"{what} {missing if tried is None else time_text(tried)}, not {missing if was is None else time_text(was)}"
        )
    by_ms = tried - was
    if abs(by_ms) < _GAP_MS:
        return ""
    return f"{what} {duration(abs(by_ms) / 1000)} {'later' if by_ms > 0 else 'earlier'}"


def _load_rows(report: Report) -> Iterator[tuple[object, ...]]:
    days = max(1, report.tried.last_ts - report.source.from_ts) / _DAY_MS
    for name, history in ((report.name.lower(), report.beside), ("tried", report.tried.history)):
        load = history.load
        most = "-" if load.worst_ts is None else f"{load.worst}, until {time_text(load.worst_ts)}"
        held = sum(course.chattered for course in history.courses.values())
        a_day = f"{load.alarms / days:.1f}" if days >= 1 else "-"
        yield name, load.alarms, a_day, most, load.floods, _stood(load.flooded_ms), held


def _load_as_json(history: History) -> Mapping[str, Json]:
    load = history.load
    return {
        "alarms": load.alarms,
        "most_in_10_min": load.worst,
        "most_until": load.worst_ts,
        "floods": load.floods,
        "flooded_ms": load.flooded_ms,
        "held_for_chattering": sum(course.chattered for course in history.courses.values()),
    }


def _alarm_as_json(it: Comparison, rules: Mapping[str, tuple[Rule, object]]) -> dict[str, Json]:
    known = rules.get(it.alarm)
    return {
        "alarm": it.alarm,
        "rule": None if known is None else rule_text(known[0]),
        "beside": {"raised": it.happened.raised, "held": it.happened.chattered, "stood_ms": it.happened.stood_ms},
        "tried": {"raised": it.tried.raised, "held": it.tried.chattered, "stood_ms": it.tried.stood_ms},
        "comings": [
            {
                "verdict": pair.verdict,
                "beside": None if pair.happened is None else [pair.happened.began, pair.happened.ended],
                "tried": None if pair.tried is None else [pair.tried.began, pair.tried.ended],
            }
            for pair in it.pairs
        ],
        "all_listed": it.is_whole,
    }


def _plots(report: Report, found: _Found) -> Iterator[Plot]:
    units = {(it.device, point.name): point.unit for it in report.tried.plan.about.devices for point in it.points}
    for it in found.comparisons:
        rule, places = found.rules.get(it.alarm, (None, ()))
        drawn = (
            Line(f"{device}.{point}", units.get((device, point), ""), trace, _conditions(rule, device, point))
            for device, point in places
            if report.traces is not None and (trace := report.traces.of(device, point)) is not None
        )
        text = "no rule of the tried configuration" if rule is None else rule_text(rule)
        yield Plot(it.alarm, text, tuple(drawn), it.happened, it.tried)


def _conditions(rule: Rule | None, device: str, point: str) -> tuple[Condition, ...]:
    if rule is None:
        return ()
    if isinstance(rule.condition, AtLeast):
        terms = rule.condition.terms
        return tuple(term.condition for term in terms if (term.device, term.point) == (device, point))
    return (rule.condition,)


def rule_text(rule: Rule) -> str:
    """A rule in words."""
    delays = (("for", rule.on_delay_s), ("clear_for", rule.off_delay_s))
    told = "".join(f", {name} {duration(seconds)}" for name, seconds in delays if seconds)
    return f"{rule.condition}{told}, {rule.priority}"
