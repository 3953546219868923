"""`sitewarden check`: every problem of a configuration at once, or what it does, in words."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import drivers
from gateway.cli import CONFIG, OK, add_config_arguments, default_config
from gateway.cli.check_profile import PROFILES, profile_in_words
from gateway.cli.status import correction
from gateway.config.editor import editor_schema, profile_schema
from gateway.config.installed import read_config
from gateway.config.points import CalibrationPart, PointPart
from gateway.config.schema import (
    Config,
    Device,
    FilesLink,
    GpioLink,
    Link,
    Response,
    Rule,
    SerialLink,
    TcpLink,
    Term,
    Uplink,
)
from gateway.config.sources import read_settings
from gateway.config.targets import called, delays, group, targets
from gateway.config.wires import load_of, share_text
from gateway.config.written import duration_text, rate_text, size_text
from gateway.driver import Adjustable, Derived
from gateway.errors import ConfigError
from gateway.model import Point


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration, or a schema for those who write one."""
    add_config_arguments(parser)
    parser.add_argument("--schema", action="store_true", help="print a JSON Schema for editors instead")
    parser.add_argument(
        "--profile",
        type=Path,
        metavar="FILE",
        help="check one profile instead: a file, or the name of one of ours",
    )
    parser.add_argument(
        "--profile-schema",
        choices=PROFILES,
        nargs="?",
        const="modbus",
        help="print a JSON Schema of profiles, for editors, instead: of those of the driver modbus, or of another",
    )


def run(args: argparse.Namespace) -> int:
    """Print problems (78) or a summary (0)."""
    if args.schema:
        known = {}
        for name in drivers.names():
            with contextlib.suppress(LookupError):  # a foreign package that is broken is told where it is used
                known[name] = drivers.find(name)
        print(json.dumps(editor_schema(known), indent=2, ensure_ascii=False))
        return OK
    if args.profile_schema:
        print(json.dumps(profile_schema(PROFILES[args.profile_schema]), indent=2, ensure_ascii=False))
        return OK
    if args.profile:
        print("\n".join(profile_in_words(args.profile)))
        return OK
    path = args.config or default_config()
    try:
        config = read_config(path, read_settings(dict(args.set)))
    except ConfigError as error:
        count = len(error.problems)
        print("\n".join(error.problems), file=sys.stderr)
        print(f"{path}: {count} problem{'s' if count > 1 else ''}; nothing would start", file=sys.stderr)
        return CONFIG
    print(f"{path}: all right; its hash is {config.hash}")
    print("\n".join(summary(config)))
    return OK


def summary(config: Config) -> Iterator[str]:
    """The configuration in words, line by line."""
    site = f"{config.site.id} ({config.site.name})" if config.site.name else config.site.id
    store = config.storage
    yield f"Site {site}, gateway {config.gateway.id}, time zone {config.site.timezone}"
    yield (
        f"Journal up to {size_text(store.max_size)}, on the disk every {duration_text(store.commit_every)},"
        f" kept for {duration_text(store.keep_acknowledged)} after every uplink has it"
    )
    yield from _part("Uplinks", [f"{name}: {_uplink(uplink)}" for name, uplink in config.uplinks.items()])
    yield from _part("Links and devices", _wires(config))
    made_of_others = list(_made_of_others(config))
    if made_of_others:
        yield from _part("Made of other devices", made_of_others)
    if config.hours:
        yield from _part("Hours", [f"{name}: {', '.join(hours.open)}" for name, hours in config.hours.items()])
    yield from _part("Rules", [f"{name}: {_rule(rule, config)}" for name, rule in config.rules.items()])
    if config.by_kind:
        said = [f"{name}: {', '.join(words)}" for name, words in config.by_kind.items()]
        yield from _part("Of these by the kind of their points, since they do not say", said)
    yield from _part("Responses", [f"{name}: {_response(it)}" for name, it in config.responses.items()])
    yield from _part("Off", config.off)
    if config.notes:
        yield from _part("Worth a look", config.notes)


def _part(title: str, lines: list[str] | tuple[str, ...]) -> Iterator[str]:
    yield ""
    yield title if lines else f"{title}: none"
    yield from (f"  {line}" for line in lines)


def _uplink(uplink: Uplink) -> str:
    user = f", as {uplink.username}" if uplink.username else ""
    proxy = f", through the proxy {uplink.proxy}" if uplink.proxy else ""
    return f"{', else '.join(uplink.url)}{user}{proxy}; it may {' and '.join(uplink.commands) or 'command nothing'}"


def _wires(config: Config) -> list[str]:
    lines = []
    for name, link in config.links.items():
        here = {own: it for own, it in config.devices.items() if it.link == name}
        lines.append(f"{name}: {link_text(link)}{_busy(link, here)}")
        lines += [line for own, it in here.items() for line in _device_lines(own, it)] or ["  no device"]
    return lines


def _made_of_others(config: Config) -> Iterator[str]:
    for name, device in config.devices.items():
        if isinstance(device.built, Derived):
            yield f"{name}: {_device(device)}; made of {', '.join(device.built.sources)}"


def link_text(link: Link) -> str:
    """A link in words."""
    match link:
        case SerialLink():
            stop = f"{link.stopbits} stop bit{'s' if link.stopbits > 1 else ''}"
            return f"serial port {link.port}, {link.baudrate} baud, parity {link.parity}, {stop}"
        case TcpLink():
            return f"{link.host}, TCP port {link.port}" + (", RTU frames" if link.framing == "rtu" else "")
        case GpioLink():
            return "the GPIO header" if link.factory == "auto" else "simulated pins"
        case FilesLink():
            return "files of the kernel" + ("" if link.root == "/" else f", below {link.root}")
    return f"the recording {link.capture}"


def _busy(link: Link, devices: Mapping[str, Device]) -> str:
    """How much of its time reading takes, as far as that can be told beforehand."""
    load = load_of(link, devices)
    return f"; reading takes {share_text(load.share)} of its time" if load else ""


def _device_lines(name: str, device: Device) -> Iterator[str]:
    """The device, and what is said of single points of it."""
    yield f"  {name}: {_device(device)}"
    units = {point.name: point.unit for point in device.built.points}
    for point, part in device.points.items():
        yield f"    {point}: {', '.join(_point(part, units[point]))}"


def _point(part: PointPart, unit: str) -> Iterator[str]:
    if part.calibration is not None:
        yield _calibration(part.calibration, unit)
    if part.range is not None:
        yield f"believed from {_number(part.range[0], unit)} to {_number(part.range[1], unit)}"
    if part.max_rate is not None:
        yield f"changing by at most {rate_text(part.max_rate, unit)}"
    if part.stuck_after is not None:
        yield f"watched for {duration_text(part.stuck_after)} without a change"
    if not part.as_kind:
        yield "not held to what is said of its kind"


def _calibration(part: CalibrationPart, unit: str) -> str:
    by = f", certificate {part.certificate}" if part.certificate else ""
    of = f" of {part.date}" if part.date else ""
    due = f", due {part.due}" if part.due else ""
    return f"calibrated (correction {correction(*part.line, unit)}{by}{of}{due})"


def _device(device: Device) -> str:
    settings = device.built.settings if isinstance(device.built, Adjustable) else frozenset()
    points = ", ".join(_point_name(point, can_be_set=point.name in settings) for point in device.built.points)
    head = ", ".join((device.driver, *device.built.claims))
    return f"{head}, in {device.zone}, every {duration_text(device.every)}: {points}"


def _point_name(point: Point, *, can_be_set: bool) -> str:
    about = [it for it in (point.unit, "commands may set it" if can_be_set else "") if it]
    return f"{point.name} ({', '.join(about)})" if about else point.name


def _rule(rule: Rule, config: Config) -> str:
    words = f"{rule.priority} alarm when {_when(rule, config.devices)}"
    if rule.during:
        words += f" during {rule.during}"
    if rule.not_during:
        words += f" outside of {rule.not_during}"
    on_delay, off_delay = delays(rule)
    if on_delay:
        words += f" for {duration_text(on_delay)}"
    if off_delay:
        words += f", until {duration_text(off_delay)} after that has ended"
    if rule.suppressed_while is not None:
        said = rule.suppressed_while
        words += f", but not while {_when(said, config.devices)}, for {duration_text(said.for_at_most)} at most"
    if rule.re_alarm_after is not None:
        words += f", told again {duration_text(rule.re_alarm_after)} after its acknowledgement"
    if rule.latch:
        words += ", until a person resets it"
    response = called(rule, config.responses_by_priority)
    return words + (f"; then {response}" if response else "")


def _when(term: Term, devices: Mapping[str, Device]) -> str:
    made_of = group(term) if isinstance(term, Rule) else None
    if made_of is not None:
        terms = "; ".join(_when(each, devices) for each in made_of.terms)
        count = {None: "all", 1: "any"}.get(made_of.needed, f"at least {made_of.needed}")
        return f"{count} of this holds: {terms}"
    about = targets(term, devices)
    which = " or ".join(f"{device}.{point.name}" for device, point in about)
    return f"{which} {_condition(term, about[0][1].unit)}"


def _condition(rule: Term, unit: str) -> str:
    if rule.fence is not None:
        return f"is {'inside' if rule.inside is not None else 'outside'} of {rule.fence}"
    low, high = rule.limits
    sides = []
    if low is not None:
        sides.append(f"is below {_number(low, unit)}" + _end(rule.clear_above, unit))
    if high is not None:
        sides.append(f"is above {_number(high, unit)}" + _end(rule.clear_below, unit))
    if sides:
        return " or ".join(sides)
    if isinstance(rule, Rule) and rule.changes_faster_than is not None:
        return f"changes by more than {rate_text(rule.changes_faster_than, unit)}"
    if isinstance(rule, Rule) and rule.silent_for is not None:
        return f"has no good value for {duration_text(rule.silent_for)}"
    return f"is {str(rule.equals).lower() if isinstance(rule.equals, bool) else rule.equals}"


def _number(number: float, unit: str) -> str:
    return f"{number:g} {unit}".strip()


def _end(limit: float | None, unit: str) -> str:
    return "" if limit is None else f" (until {_number(limit, unit)})"


def _response(response: Response) -> str:
    told = [f"switch {output} {to}{_way(response, output)}" for output, to in response.set.items()]
    texts = response.say.values() if isinstance(response.say, dict) else [response.say] if response.say else []
    told += [f'say "{text}"' for text in texts]
    if response.tell:
        told.append(f"tell {' and '.join(response.tell)}")
    if response.until != "cleared" and response.set:
        told.append(f"until it is {response.until}")
    return "; ".join(told) or "nothing"


def _way(response: Response, output: str) -> str:
    ways = []
    if output in response.pulse:
        on, off = map(duration_text, response.pulse[output])
        ways.append(f"{on} on, {off} off")
    if output in response.at_most:
        ways.append(f"{duration_text(response.at_most[output])} at most")
    if output in response.audible:
        ways.append("sounds")
    return f" ({', '.join(ways)})" if ways else ""
