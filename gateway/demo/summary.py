"""The end of the demo: what the gateway promised, whether it kept it, and how that is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import NamedTuple

from gateway.demo.story import Expected, Promise, Story
from gateway.demo.view import Received, clock
from gateway.demo.witness import Witness
from gateway.model import Lane

_INDENT = " " * 14
SIREN_LIMIT_S = 1.0
RESET_LIMIT_S = 5.0  # a command that got no answer is sent again each second
NEIGHBOUR_LIMIT = 2.0  # intervals; a silent device costs one timeout, a queue behind it would cost more


class Verdict(NamedTuple):
    """Whether a promise was kept, None where the story did not get so far, and what was seen."""

    promise: Promise
    kept: bool | None
    seen: str


class Delivery(NamedTuple):
    """How far the records got. `numbered`: by lane, the last number given out when the story was over.

    `whole`: by lane, up to where everything is at the platform (None where the platform is not the demo's own).
    `unacknowledged`: stored records that no acknowledgement has come for, None where the journal could not say.
    """

    numbered: Mapping[Lane, int]
    whole: Mapping[Lane, int] | None
    received: Received | None
    unacknowledged: int | None


class Ending(NamedTuple):
    """Everything the verdicts are made of. `deaths` counts threads that died, of the gateway and of the site."""

    story: Story
    at_s: float
    witness: Witness
    delivery: Delivery
    deaths: int


def verdicts(ending: Ending) -> list[Verdict]:
    """One verdict for each promise."""
    return [
        _alarms(ending),
        _siren(ending),
        _latch(ending),
        _no_gap(ending.delivery),
        _acknowledged(ending.delivery),
        _neighbours(ending.witness),
        _honest(ending.witness),
        Verdict(Promise.THREADS, ending.deaths == 0, f"{ending.deaths or 'none'} died"),
    ]


def told(made: Sequence[Verdict], ending: Ending, kept_in: str) -> Iterator[str]:
    """The summary in lines; `kept_in` is the folder that stays, if one does."""
    numbered = ending.delivery.numbered
    yield f"The simulated site was watched for {clock(ending.at_s)}:"
    yield f"{numbered.get(Lane.TELEMETRY, 0):,} readings and {numbered.get(Lane.EVENT, 0):,} events were recorded."
    yield ""
    words = {True: "kept", False: "BROKEN", None: "not played"}
    for verdict in made:
        yield f"  {words[verdict.kept]:<10}  {verdict.promise}"
        yield from wrap(verdict.seen, 78, initial_indent=_INDENT, subsequent_indent=_INDENT)
    yield ""
    broken = sum(verdict.kept is False for verdict in made)
    if broken:
        yield f"{broken} of {len(made)} promises were broken."
    else:
        yield f"All promises were kept that were put to the test: {sum(v.kept is True for v in made)} of {len(made)}."
    if kept_in:
        yield f"Journal and log are kept in {kept_in}."


def _alarms(ending: Ending) -> Verdict:
    due = [expected for expected in ending.story.expected if expected.by_s <= ending.at_s]
    times = {expected: _raised(ending.witness, expected) for expected in due}
    missed = [expected.alarm for expected, at_s in times.items() if at_s is None]
    seen = ", ".join(f"{expected.alarm} at {clock(at_s)}" for expected, at_s in times.items() if at_s is not None)
    if missed:
        return Verdict(Promise.ALARMS, False, f"{' and '.join(missed)} did not come; seen: {seen or 'none'}")
    return Verdict(Promise.ALARMS, True if due else None, seen or "none was due yet")


def _raised(witness: Witness, expected: Expected) -> float | None:
    return next(
        (r.at_s for r in witness.raised if r.alarm == expected.alarm and expected.from_s <= r.at_s <= expected.by_s),
        None,
    )


def _siren(ending: Ending) -> Verdict:
    if not ending.witness.answered:
        return Verdict(Promise.SIREN, None, "no smoke yet")
    late = [a for a in ending.witness.answered if a.after_s is None or a.after_s > SIREN_LIMIT_S]
    shown = late or ending.witness.answered
    seen = ", ".join("it stayed off" if a.after_s is None else f"after {a.after_s * 1000:.0f} ms" for a in shown)
    return Verdict(Promise.SIREN, not late, seen)


def _latch(ending: Ending) -> Verdict:
    witness = ending.witness
    if not witness.siren:
        return Verdict(Promise.LATCH, None, "nothing at this site sounds until a reset")
    if any(not ended.by_reset for ended in witness.siren_ended):
        return Verdict(Promise.LATCH, False, "it stopped before")
    if witness.siren_ended:
        return Verdict(Promise.LATCH, True, f"it stopped at {clock(witness.siren_ended[-1].at_s)}")
    if witness.siren_on and witness.reset_at_s is not None and ending.at_s > witness.reset_at_s + RESET_LIMIT_S:
        return Verdict(Promise.LATCH, False, "it was reset, and went on")
    return Verdict(Promise.LATCH, None, "nobody has reset it yet")


def _no_gap(delivery: Delivery) -> Verdict:
    if delivery.whole is None or delivery.received is None:
        return Verdict(Promise.NO_GAP, None, "the broker is not the demo's own, so nobody counted there")
    short = {lane: delivery.whole.get(lane, 0) for lane in delivery.numbered}
    late = {lane: whole for lane, whole in short.items() if whole < delivery.numbered[lane]}
    if late:
        seen = ", ".join(
            f"{lane}s are whole up to {whole} of {delivery.numbered[lane]}" for lane, whole in late.items()
        )
        return Verdict(Promise.NO_GAP, False, seen)
    got = delivery.received
    return Verdict(
        Promise.NO_GAP,
        got.missing == 0,
        f"{got.records:,} came, {got.missing:,} are missing, {got.late:,} came later from the disk",
    )


def _acknowledged(delivery: Delivery) -> Verdict:
    if delivery.unacknowledged is None:
        return Verdict(Promise.ACKNOWLEDGED, False, "the journal did not say")
    seen = f"{delivery.unacknowledged:,} are left" if delivery.unacknowledged else "none is left"
    return Verdict(Promise.ACKNOWLEDGED, delivery.unacknowledged == 0, seen)


def _neighbours(witness: Witness) -> Verdict:
    if not witness.waited:
        return Verdict(Promise.NEIGHBOURS, None, "no device has been silent yet")
    slow = [w for w in witness.waited.values() if w.worst_s > NEIGHBOUR_LIMIT * w.every_s]
    shown = slow or list(witness.waited.values())
    seen = ", ".join(f"{w.device} was never older than {w.worst_s:.1f} s" for w in shown)
    return Verdict(Promise.NEIGHBOURS, not slow, seen)


def _honest(witness: Witness) -> Verdict:
    if not witness.silences:
        return Verdict(Promise.HONEST, None, "no device has been silent yet")
    names = ", ".join(sorted({began.device for began, _ in witness.silences}))
    return Verdict(Promise.HONEST, not witness.lies, "; ".join(witness.lies[:3]) or f"{names} was looked at")
