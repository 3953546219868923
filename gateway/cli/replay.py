"""`sitewarden replay`: rules tried on what was recorded, beside what really happened. It only reads."""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.cli import FAILED, OK, add_setting_argument, default_config, default_state_dir
from gateway.cli.journal_export import output
from gateway.cli.moments import TIME_HINT, moment
from gateway.cli.progress import Bar
from gateway.cli.replay_report import Report, as_json, lines, page
from gateway.config.installed import read_config
from gateway.config.schema import Config
from gateway.config.sources import read_settings
from gateway.errors import SitewardenError
from gateway.journal import inspection
from gateway.journal.past import Past
from gateway.replaying.exported import Export
from gateway.replaying.happened import Happened
from gateway.replaying.heard import Heard
from gateway.replaying.page import html
from gateway.replaying.traces import Traces
from gateway.replaying.trial import Before, Trial, rules_by_alarm
from gateway.units import Form

_DEFAULT_SINCE = "30d"
_FOR_EVER = 1 << 62
_COLLECT_AT = 200_000  # objects more than before


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which time, which rules, which past; and how to show it."""
    parser.add_argument("--since", type=moment, default=None, metavar="T", help=f"{TIME_HINT}; default: 30d")
    parser.add_argument("--until", type=moment, default=_FOR_EVER, metavar="T", help="up to, not including")
    tried = "the rules to try, in a configuration of this site; default: the configuration itself"
    parser.add_argument("--config", type=Path, default=None, metavar="FILE", help=tried)
    add_setting_argument(parser)
    beside = "show them beside what this configuration would have done, in place of what happened"
    parser.add_argument("--compare", type=Path, default=None, metavar="FILE", help=beside)
    past = parser.add_mutually_exclusive_group()
    where = "the daemon's state directory, or the file of a journal: a copy, or one that was set aside"
    past.add_argument("--state", type=Path, default=None, metavar="PATH", help=where)
    exported = "what `journal export` wrote: readings, and events if what happened is to be shown; several times"
    past.add_argument("--file", type=Path, action="append", default=None, metavar="FILE", help=exported)
    parser.add_argument("--html", type=Path, default=None, metavar="FILE", help="write a page with a plot per alarm")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(args: argparse.Namespace) -> int:
    """Try, and show what came of it; 1 if it was interrupted (then for the time until there) or cannot be done."""
    try:
        return _replay(args)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return FAILED


def _replay(args: argparse.Namespace) -> int:
    if args.since is not None and args.since >= args.until:
        raise SitewardenError("--since is not before --until", TIME_HINT)
    config = read_config(args.config or default_config(), read_settings(dict(args.set)))
    beside = None if args.compare is None else read_config(args.compare)
    source = _source(args, config)
    source.look()
    replay = Replay(source, config, beside, plots=args.html is not None)
    began = time.monotonic()
    report = replay.run()
    took_s = time.monotonic() - began
    if args.html is not None and not report.interrupted:
        with output(_place(args), args.html) as out:
            out.writelines(html(page(report)))
    print(json.dumps(as_json(report), indent=2, ensure_ascii=False) if args.json else "\n".join(lines(report)))
    rate = f"{report.tried.values / took_s:,.0f} values a second" if took_s else "at once"
    print(f"{report.tried.values:,} values judged in {took_s:.1f} s: {rate}", file=sys.stderr)
    if report.interrupted:
        print("interrupted: this is the time until there alone, and no page was written", file=sys.stderr)
    return FAILED if report.interrupted else OK


def _place(args: argparse.Namespace) -> Path:
    if args.file:
        return Path(args.file[0])
    return inspection.find(args.state or default_state_dir())


def _source(args: argparse.Namespace, config: Config) -> Past | Export:
    if args.file:
        forms: dict[tuple[str, str], Form] = {
            (name, point.name): point.form for name, device in config.devices.items() for point in device.built.points
        }
        return Export(args.file, forms, args.since or 0, args.until)
    since = moment(_DEFAULT_SINCE) if args.since is None else args.since
    return Past(_place(args), since, args.until)


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Readings make no cycles: to look for some at every few hundred costs a quarter of the time."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_AT)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class Replay:
    """One pass over events, and one over readings, which go to the trials and the plots alike."""

    def __init__(self, source: Past | Export, config: Config, beside: Config | None, *, plots: bool) -> None:
        self._source = source
        self._configs = [config] if beside is None else [config, beside]
        self._plots = plots

    def run(self) -> Report:
        """What came of it, or of the part until Ctrl-C."""
        source = self._source
        with Bar("replaying") as bar, _collecting_seldom():
            happened = Happened(source.from_ts)
            interrupted = False
            trials: list[Trial] = []
            traces: Traces | None = None
            try:
                happened.take(source.events())
                before = Before(source.from_ts, source.boots, happened.spans, happened.state)
                trials = [Trial(config, before) for config in self._configs]
                traces = self._traces(trials)
                for heard in self._heard(bar):
                    for trial in trials:
                        trial.take(heard)
                    if traces is not None:
                        traces.take(heard)
            except KeyboardInterrupt:
                interrupted = True
        if not trials:
            raise KeyboardInterrupt
        for trial in trials:
            trial.end(whole=not interrupted)
        if interrupted:
            happened = self._until(trials[0].last_ts)
        happened.history.ended(trials[0].last_ts)
        return Report(trials[0], trials[1] if len(trials) > 1 else None, happened, source, traces, interrupted)

    def _until(self, last_ts: int) -> Happened:
        """What happened until the moment at which it was interrupted."""
        happened = Happened(self._source.from_ts)
        happened.take(event for event in self._source.events() if event.ts <= last_ts)
        return happened

    def _heard(self, bar: Bar) -> Iterator[Heard]:
        for heard in self._source.readings():
            yield heard
            bar.show(self._source.rows / max(1, self._source.total))

    def _traces(self, trials: list[Trial]) -> Traces | None:
        if not self._plots:
            return None
        points = {place for trial in trials for _, places in rules_by_alarm(trial.plan).values() for place in places}
        return Traces(points, self._source.from_ts)
