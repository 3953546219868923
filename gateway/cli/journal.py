"""`sitewarden journal`: what the journal holds, whether it is sound, and copies of it; beside the daemon or without it.

Nothing here writes into a journal, but for `restore`, and that only while no daemon runs.
"""

from __future__ import annotations

import argparse
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gateway.cli import FAILED, OK, default_state_dir
from gateway.cli.journal_export import Wanted, export
from gateway.cli.journal_tail import follow, gaps, tail, time_text
from gateway.cli.moments import TIME_HINT, moment
from gateway.cli.progress import Bar
from gateway.cli.status import known
from gateway.cli.table import duration, table
from gateway.config.schema import Storage
from gateway.errors import CannotCreate, SitewardenError
from gateway.journal import copies, inspection
from gateway.journal.chain import Head
from gateway.journal.inspection import Summary
from gateway.journal.statelock import JOURNAL_FILE
from gateway.journal.verify import verify
from gateway.model import SENT_LANES, Lane

_FOR_EVER = 1 << 62


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One parser for each of the journal's commands."""
    add = parser.add_subparsers(dest="action", metavar="COMMAND", required=True).add_parser
    status = _command(add, "status", _status, "rows, bytes, backlog, and what a power cut would cost")
    _place(status)
    last = _command(add, "tail", _tail, "the last records, one a line")
    last.add_argument("-n", type=_count, default=20, metavar="N", help="so many (default: 20)")
    last.add_argument("-f", "--follow", action="store_true", help="go on with each new one, until Ctrl-C")
    last.add_argument("--lane", choices=list(map(str, Lane)), default=None, help="only these; local: stored, not sent")
    _place(last)
    _place(_command(add, "gaps", _gaps, "what was given up before every uplink had it"))
    chain = _command(add, "verify", _verify, "whether the events are those that were stored; exit code 1 if not")
    chain.add_argument("--head", type=_head, default=None, metavar="LENGTH:HASH", help="the chain's head as once told")
    _place(chain)
    _add_export(_command(add, "export", _export, "readings (or events) as CSV or JSON Lines"))
    save = _command(add, "backup", _backup, "a checked copy of the journal, whether the daemon runs or not")
    save.add_argument("file", type=Path, help="where to")
    save.add_argument("--force", action="store_true", help="replace the file if it is there")
    _place(save)
    back = _command(add, "restore", _restore, "put a copy in the place of the journal; the daemon must be stopped")
    back.add_argument("file", type=Path, help="a copy that `backup` has made; it stays as it is")
    back.add_argument("--force", action="store_true", help="even if the events in it were changed")
    back.add_argument("--state", type=Path, default=None, metavar="DIR", help="the daemon's state directory")


def run(args: argparse.Namespace) -> int:
    """Do it; 1 if it cannot be done or the journal is not sound, 73 if a file cannot be made, 75 beside a daemon."""
    try:
        code: int = args.act(args)
    except KeyboardInterrupt:
        return OK if args.action == "tail" else FAILED
    except BrokenPipeError:
        raise
    except OSError as error:
        hint = "the journal is its owner's alone, so try it with sudo; else look at the disk: df, dmesg"
        raise SitewardenError(f"{error.filename or 'the output'}: {error.strerror}", hint) from error
    return code


def _command(
    add: Callable[..., argparse.ArgumentParser], name: str, act: Callable[[argparse.Namespace], int], help_text: str
) -> argparse.ArgumentParser:
    parser = add(name, help=help_text, description=help_text)
    parser.set_defaults(act=act)
    return parser


def _place(parser: argparse.ArgumentParser) -> None:
    where = "the daemon's state directory, or the file of a journal: a copy, or one that was set aside"
    parser.add_argument("--state", type=Path, default=None, metavar="PATH", help=where)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("csv", "jsonl"), default="csv", help="default: csv")
    lanes = "telemetry: all readings, also those that are not sent (default)"
    parser.add_argument("--lane", choices=list(map(str, SENT_LANES)), default="telemetry", help=lanes)
    parser.add_argument("--from", dest="from_ts", type=moment, default=0, metavar="T", help=TIME_HINT)
    parser.add_argument("--to", dest="to_ts", type=moment, default=_FOR_EVER, metavar="T", help="up to, not including")
    parser.add_argument("--device", default="", metavar="D", help="only of this device")
    parser.add_argument("--point", default="", metavar="P", help="only this point")
    parser.add_argument("-o", "--output", type=Path, default=None, metavar="FILE", help="default: standard output")
    _place(parser)


def _path(args: argparse.Namespace) -> Path:
    return inspection.find(args.state or default_state_dir())


# ---------------------------------------------------------------- what it holds


def _status(args: argparse.Namespace) -> int:
    path = _path(args)
    daemon = known(path.parent) if path.name == JOURNAL_FILE else None  # a copy beside it is not what it writes
    print("\n".join(status_lines(path, inspection.summary(path), daemon)))
    return OK


def status_lines(path: Path, summary: Summary, daemon: Mapping[str, Any] | None) -> Iterator[str]:
    """The journal as text; `daemon` is the answer of the one that writes it, None without one."""
    health = daemon["health"] if daemon is not None else {}
    journal = health.get("journal") or {}
    writer = f"written by run {daemon['run']}" if daemon is not None else "no daemon is running with it"
    yield f"{path}, {writer}"
    yield ""
    lanes = [
        (lane, it.rows, *(time_text(ts) if ts is not None else "-" for ts in (it.oldest_ts, it.newest_ts)))
        for lane, it in summary.lanes.items()
    ]
    yield from table(("LANE", "ROWS", "OLDEST", "NEWEST"), lanes, "")
    yield ""
    sizes = [(name, f"{size / 1e6:.1f} MB") for name, size in summary.files.items()]
    total = f"{sum(summary.files.values()) / 1e6:.1f} MB"
    yield from table(("FILE", "SIZE"), [*sizes, ("together", total)], "")
    yield ""
    backlog = dict(summary.backlog) | journal.get("backlog", {})
    yield from table(("UPLINK", "BACKLOG", "LAST ACKNOWLEDGEMENT"), _uplinks(backlog, daemon), "no uplinks")
    yield ""
    yield f"gaps: {summary.open_gaps} not announced yet; all: sitewarden journal gaps"
    yield f"chain: {summary.head.length} events, head {_head_text(summary.head)}"
    yield ""
    yield from _worst_case(journal)


def _uplinks(backlog: Mapping[str, int], daemon: Mapping[str, Any] | None) -> Iterator[tuple[object, ...]]:
    acked = {uplink["uplink"]: uplink["last_ack"] for uplink in daemon["health"]["uplinks"]} if daemon else {}
    for uplink, rows in backlog.items():
        if daemon is None:
            last = "not known without the daemon"
        elif acked.get(uplink) is None:
            last = "none in this run"
        else:
            last = f"{duration(max(0.0, (daemon['ts'] - acked[uplink]) / 1000))} ago"
        yield uplink, rows, last


def _worst_case(journal: Mapping[str, Any]) -> Iterator[str]:
    """What a power cut would cost, in words."""
    if journal and journal["state"] != "ok":
        yield f"The disk takes no records: {journal['state']}."
        yield f"{journal['waiting']} records wait in memory; a power cut now would lose them."
        return
    every = journal.get("commit_every_s", Storage().commit_every)
    source = "as configured" if journal else "the default; what is configured is known to a running daemon alone"
    yield f"At worst a power cut loses the telemetry of the last {every:g} s (commit_every, {source})."
    yield "Events are put on the disk at once, and telemetry is sent only from there."


def _tail(args: argparse.Namespace) -> int:
    lanes = (Lane(args.lane),) if args.lane else tuple(Lane)
    path = _path(args)
    if args.follow:
        return _print(follow(path, lanes, args.n, threading.Event()))
    return _print(tail(path, lanes, args.n))


def _gaps(args: argparse.Namespace) -> int:
    return _print(gaps(_path(args)))


def _print(lines: Iterable[str]) -> int:
    for line in lines:
        print(line, flush=True)
    return OK


# ---------------------------------------------------------------- whether it is sound


def _verify(args: argparse.Namespace) -> int:
    path = _path(args)
    inspection.summary(path)  # says what it is, if it is no journal
    with Bar("events checked:") as bar:
        verdict = verify(path, args.head, bar.count)
    if verdict.bad is not None:
        bad = verdict.bad
        print(f"{path}: {bad.finding}: event {bad.seq} of run {bad.run} {bad.what}")
        print(f"{verdict.checked} events are as they were stored; keep a copy of the file before anything else")
        return FAILED
    print(f"{path}: {verdict.checked} events are as they were stored, head {_head_text(verdict.head)}")
    if verdict.uncovered:
        print(f"{verdict.uncovered} older ones are not covered by the chain")
    if args.head is None:
        print(
            "a cut end is found only against a head that was told before (health, journal status): --head LENGTH:HASH"
        )
    elif not verdict.met:
        print("the head that was given is older than the events that are left: nothing to compare")
    return OK


# ---------------------------------------------------------------- copies


def _export(args: argparse.Namespace) -> int:
    if args.from_ts >= args.to_ts:
        raise SitewardenError("--from is not before --to", TIME_HINT)
    wanted = Wanted(Lane(args.lane), args.from_ts, args.to_ts, args.device, args.point)
    count = export(_path(args), wanted, args.format, args.output)
    where = f" to {args.output}" if args.output is not None else ""
    print(f"{count} lines{where}", file=sys.stderr)
    return OK


def _backup(args: argparse.Namespace) -> int:
    path = _path(args)
    if args.file.exists() and not args.force:
        raise CannotCreate(f"{args.file} is there already", "--force replaces it")
    with Bar("copying") as bar:
        copies.backup(path, args.file, bar.show)
    held = inspection.summary(args.file)
    rows = sum(lane.rows for lane in held.lanes.values())
    print(f"{args.file}: a checked copy of {path}, {rows} records, {args.file.stat().st_size / 1e6:.1f} MB")
    return OK


def _restore(args: argparse.Namespace) -> int:
    state_dir = args.state or default_state_dir()
    with Bar("copying") as bar:
        done = copies.restore(args.file, state_dir, bar.show, args.force)
    print(f"{args.file} is the journal in {state_dir} now; start the daemon")
    if done.replaced is not None:
        print(f"the journal before is kept as {done.replaced}, as long as storage: max_size has room for it")
    if not done.readable:
        print("it cannot be read: what it had not sent yet is not in the gaps", file=sys.stderr)
    for gap in done.dropped:
        print(f"not in the copy, and told as a gap: {gap.lane} {gap.first} to {gap.last} of run {gap.of_run}")
    return OK


# ---------------------------------------------------------------- what is written on the command line


def _count(written: str) -> int:
    if not re.fullmatch(r"[0-9]{1,7}", written):
        raise argparse.ArgumentTypeError(f"{written!r} is no number of records")
    return int(written)


def _head_text(head: Head) -> str:
    return f"{head.length}:{head.hash.hex()}"


def _head(written: str) -> Head:
    match = re.fullmatch(r"([0-9]{1,15}):([0-9a-f]{64})", written)
    if match is None:
        raise argparse.ArgumentTypeError("write LENGTH:HASH, as `journal status` prints it, with 64 hex digits")
    return Head(int(match[1]), bytes.fromhex(match[2]))
