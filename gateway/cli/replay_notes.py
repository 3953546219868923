"""What a replay can tell, and what not: in words for whoever relies on it."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.cli.journal_tail import printable
from gateway.journal.past import Past
from gateway.replaying.exported import Export
from gateway.replaying.happened import Happened
from gateway.replaying.history import MAX_EPISODES
from gateway.replaying.page import time_text
from gateway.replaying.trial import Trial


def notes(tried: Trial, happened: Happened, source: Past | Export, *, whole: bool, interrupted: bool) -> Iterator[str]:
    """One sentence or two each; `whole`: all comings of all alarms are compared."""
    if interrupted:
        yield "It was interrupted: everything here is of the time until then."
    if source.begins_later:
        yield f"There are no readings from before {time_text(source.from_ts)} UTC: that is where this begins."
    yield from _of_values(tried)
    yield from _of_time(source)
    yield from _left_out(tried, happened, source)
    if not whole:
        yield f"Of alarms that came more than {MAX_EPISODES} times the rest is counted, and not compared one by one."


def _of_values(tried: Trial) -> Iterator[str]:
    yield (
        "Judged are values as they were recorded, calibrated and checked then. A point that is recorded when it moves "
        "(`report`; words) counts as unmoved until its next record: it may have been off by its deadband."
    )
    if tried.repeats.points:
        yield (
            f"To rules on silence and on changes, {tried.repeats.points} such points count as heard until a record "
            "says that they are bad, or for `max_every` as it is tried; that is right to one interval of reading."
        )


def _of_time(source: Past | Export) -> Iterator[str]:
    yield (
        "Between two runs nothing is judged. Delays begin anew there and where this begins; alarms that stand go on. "
        "What people did is not repeated: to acknowledge, reset or shelve lets no alarm come or go."
    )
    if not source.has_clocks:
        yield "An export has wall times alone: where the clock was wrong or was set, delays may be, too."
    elif source.corrected:
        yield f"{source.corrected} readings were made while the clock was wrong; they have the right times here."


def _left_out(tried: Trial, happened: Happened, source: Past | Export) -> Iterator[str]:
    if source.undated:
        yield f"Left out are {source.undated} readings of a clock that was not set and has not been corrected since."
    if happened.own:
        yield f"Alarms of the gateway's own, which are about itself, are not tried; of these there were {happened.own}."
    if happened.gaps:
        yield f"{happened.gaps} gaps are told of: readings that were given up are judged by nobody."
    if source.damaged or happened.damaged:
        first = f"; the first of the readings is {printable(source.first_damaged)}" if source.first_damaged else ""
        yield f"Damaged and passed over: {source.damaged + happened.damaged}{first}."
    if tried.unknown:
        yield f"Not in this configuration, and judged by no rule: {', '.join(map(printable, sorted(tried.unknown)))}."
