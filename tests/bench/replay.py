"""How fast rules are tried on the past: python tests/bench/replay.py [ROWS]. CPU of one core, journal to report.

A journal as the daemon writes it: 50 devices, each point with a rule with delays; some alarms come and go. Once with
readings of ten values, once of two (temperature and humidity), once of one, as points that are recorded when they move
have. Goal: 200,000 values a second for each; for what is below, the profile shows where the time goes.
"""

from __future__ import annotations

import cProfile
import io
import pstats
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).parent.parent.parent
sys.path[:0] = [str(TOP), str(TOP / "tests")]

from journal_scene import MB, NOW, opened  # noqa: E402 - from any folder

from gateway.cli.replay import Replay  # noqa: E402 - as above
from gateway.cli.replay_report import lines  # noqa: E402 - as above
from gateway.config.installed import read_config  # noqa: E402 - as above
from gateway.config.schema import Config  # noqa: E402 - as above
from gateway.journal.past import Past  # noqa: E402 - as above
from gateway.journal.waiting import Waiting  # noqa: E402 - as above
from gateway.model import Decision, Lane, Reading, Record, Trust  # noqa: E402 - as above
from gateway.records import Telemetry  # noqa: E402 - as above

GOAL = 200_000
DEVICES, GROUP, TIMES = 50, 2_000, 3
PROFILE = "model: Bench\nmaker: tests\nsources: [made up]\nconfidence: high\npoints:\n"


def main() -> int:
    """Print values a second for each kind of reading; 1 if one of them misses the goal."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 60_000
    speeds = {}
    with tempfile.TemporaryDirectory() as name:
        for width in (10, 2, 1):
            folder = Path(name) / str(width)
            config = written(folder, width)
            fill(folder / "journal.db", rows, width)
            speeds[width], profile = measured(folder / "journal.db", config)
            print(f"{width} values a reading: {speeds[width]:,.0f} values/s, {speeds[width] / width:,.0f} readings/s")
            if speeds[width] < GOAL:
                print(profile)
            elif width == 10:
                print(f"  with a plot of each: {replayed(folder / 'journal.db', config, plots=True):,.0f} values/s")
    print(f"goal: {GOAL:,} values/s")
    return int(min(speeds.values()) < GOAL)


def written(folder: Path, width: int) -> Config:
    """A site of fifty devices with so many points each, and a rule on each point."""
    (folder / "profiles").mkdir(parents=True)
    points = "".join(
        f"  p{n}: {{kind: temperature, table: holding, address: {n}, type: int16}}\n" for n in range(width)
    )
    (folder / "profiles" / "bench.yaml").write_text(PROFILE + points)
    devices = "".join(
        f"  d{n}: {{driver: modbus, link: io, unit: {n + 1}, profile: bench, every: 10s, zone: hall}}\n"
        for n in range(DEVICES)
    )
    rules = "".join(
        f"  r{n}-{at}: {{point: d{n}.p{at}, above: 29, clear_below: 28, for: 30s, clear_for: 30s}}\n"
        for n in range(DEVICES)
        for at in range(width)
    )
    links = "links:\n  io: {type: tcp, host: 127.0.0.1, port: 502}\n"
    head = f"site: {{id: s}}\ngateway: {{id: g}}\n{links}devices:\n"
    (folder / "site.yaml").write_text(f"{head}{devices}rules:\n{rules}")
    return read_config(folder / "site.yaml")


def fill(path: Path, rows: int, width: int) -> None:
    """Readings of all devices each ten seconds; every value climbs for some minutes and falls again."""
    store = opened(path, max_size=4_000 * MB)
    text = Telemetry().text
    made: list[Record] = []
    for seq in range(1, rows + 1):
        at_s = seq // DEVICES * 10
        values: dict[str, float] = {f"p{n}": 20 + (at_s // 10 + 37 * n) % 401 / 40 for n in range(width)}
        reading = Reading(f"d{seq % DEVICES}", float(at_s), NOW + at_s * 1000, values, {})
        made.append(Record(Lane.TELEMETRY, seq, reading.ts, Trust.SYNCED, at_s * 1000, text(reading)))
        if len(made) == GROUP or seq == rows:
            waiting = Waiting()
            waiting._newest[Lane.TELEMETRY] = made[0].seq - 1
            waiting.add(Decision(tuple(made)), 0.0)
            store.commit(waiting, (), NOW)
            made = []
    store.close()


def measured(path: Path, config: Config) -> tuple[float, str]:
    """Values a second of CPU, the best of some; and the profile of one more."""
    best = max(replayed(path, config) for _ in range(TIMES))
    profile = cProfile.Profile()
    profile.enable()
    replayed(path, config)
    profile.disable()
    out = io.StringIO()
    pstats.Stats(profile, stream=out).sort_stats("tottime").print_stats(12)
    return best, out.getvalue()


def replayed(path: Path, config: Config, *, plots: bool = False) -> float:
    """Values a second of CPU."""
    begin = time.thread_time()
    past = Past(path, 0, 1 << 62)
    past.look()
    report = Replay(past, config, None, plots=plots).run()
    text = "\n".join(lines(report))
    spent = time.thread_time() - begin
    if "r0-0" not in text or not report.tried.history.load.alarms:
        raise AssertionError("no alarm came")
    return report.tried.values / spent


if __name__ == "__main__":
    raise SystemExit(main())
