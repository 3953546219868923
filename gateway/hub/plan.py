"""What the hub is told of a configuration: the site in terms of the rules, without any wire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from functools import partial
from math import inf
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from gateway import __version__
from gateway.config.fences import fence_of
from gateway.config.schema import Config, Device, FencePart, Reporting
from gateway.config.schema import Rule as RuleOptions
from gateway.config.schema import Suppression as SuppressionOptions
from gateway.config.schema import Term as TermOptions
from gateway.config.targets import called, delays, group, targets
from gateway.derive.derivation import Derivation
from gateway.driver import Adjustable, Derived, Output
from gateway.hours import Hours, stretch
from gateway.hub import pointplan
from gateway.hub import responseplan as respond
from gateway.hub.alarm import Target
from gateway.hub.detectors import alarms_of as alarms_of_detectors
from gateway.hub.outputcare import output_failed
from gateway.hub.own import OF_GATEWAY, alarms_of
from gateway.hub.reportplan import limits
from gateway.hub.unheard import INTERVALS, PATIENCE_S, SATELLITE_PATIENCE_S, SMOKE_PATIENCE_S, Watched
from gateway.hub.unheard import alarms_of as alarms_of_watched
from gateway.hub.writes import Setting, SettingPoint
from gateway.model import About, Command, DeviceAbout, RuleAbout, Value
from gateway.refine.exception import Limit
from gateway.refine.quality import Check
from gateway.rules.condition import Above, AtFence, AtLeast, Below, Changes, Condition, Equals, Outside, SilentFor, Term
from gateway.rules.following import UNCONFIRMED_NEVER, Times
from gateway.rules.judge import Rule
from gateway.rules.lifecycle import Change
from gateway.rules.overlay import Suppression
from gateway.rules.responses import OutputPoint, Pace, Response
from gateway.units import FIRE_KINDS, SAFETY_KINDS

_C = TypeVar("_C", bound=Condition)


@dataclass(frozen=True, slots=True)
class Plan:
    """Devices and rules of one configuration. `every_s`: device -> seconds between its readings."""

    about: About
    rules: tuple[tuple[Rule, tuple[Target, ...]], ...]
    responses: Mapping[str, Response]
    outputs: Mapping[OutputPoint, Value]  # every output and its safe value
    every_s: Mapping[str, float]
    safety_devices: frozenset[str]  # their readings are taken first
    version: str
    run: str
    limits: Mapping[str, Mapping[str, Limit]]  # device -> point -> when it is recorded; others at each reading
    uplinks: tuple[str, ...]  # which miss what is never handed over
    own: tuple[str, ...] = OF_GATEWAY  # the gateway's own alarms
    settings: Mapping[SettingPoint, Setting] = field(default_factory=dict)  # which a command may write
    watched: Mapping[str, Watched] = field(default_factory=dict)  # device -> what of it rules are about
    checks: Mapping[str, Mapping[str, Check]] = field(default_factory=dict)  # device -> point -> what is believed
    stuck_after_s: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # device -> point -> seconds
    times: Times = UNCONFIRMED_NEVER  # by when a high alarm is confirmed, seen, reported
    at_step: Mapping[Change, str] = field(default_factory=dict)  # the response to a report that is late
    derivations: Mapping[str, Derivation] = field(default_factory=dict)  # by device, where points follow from others
    paces: Mapping[OutputPoint, Pace] = field(default_factory=dict)  # how long outputs stay on and off at least
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # device -> what it is made of, if of others
    boot: str = ""  # by which monotonic times of different runs can be compared; "": not known


class Reconfigured(NamedTuple):
    """Another configuration is in use from now on, since `command` wanted that.

    `words`: what has changed. `anew`: the devices that are polled otherwise than before, or were not before; `links`:
    all there are now; `joined`: the uplinks that begin with this.
    """

    plan: Plan
    command: Command
    words: tuple[str, ...]
    anew: frozenset[str]
    links: frozenset[str]
    joined: frozenset[str] = frozenset()


def plan_of(config: Config, run: str, boot: str = "") -> Plan:
    """The site in terms of the rules."""
    rules = tuple(
        (_rule(rule_id, options, config), tuple(_targets(rule_id, options, config.devices)))
        for rule_id, options in config.rules.items()
    )
    outputs = {
        OutputPoint(device.link, device_id, point): value
        for device_id, device in config.devices.items()
        if isinstance(device.built, Output)
        for point, value in device.built.safe.items()
    }
    watched = dict(_watched(config, rules))
    responses = {
        name: respond.response(name, options, outputs, config.site.languages)
        for name, options in config.responses.items()
    }
    return Plan(
        about=_about(config, rules, responses),
        rules=rules,
        responses=responses,
        outputs=outputs,
        every_s={device_id: device.every for device_id, device in config.devices.items()},
        safety_devices=frozenset(device_id for device_id, device in config.devices.items() if is_safety(device)),
        version=__version__,
        run=run,
        limits={device_id: limits(device, config.report) for device_id, device in config.devices.items()},
        own=(*_own(config), *alarms_of_watched(watched)),
        watched=watched,
        times=_times(config),
        at_step=_at_step(config.reporting),
        checks=pointplan.checks(config.devices),
        stuck_after_s=pointplan.stuck_after_s(config.devices),
        uplinks=tuple(config.uplinks),
        settings=dict(_settings(config.devices)),
        derivations=dict(_derivations(config)),
        sources=dict(_sources(config.devices)),
        paces=dict(pointplan.paces(outputs, config.devices)),
        boot=boot,
    )


def is_safety(device: Device) -> bool:
    """Whether a device's readings are taken first and its polls are never held back."""
    return any(point.kind in SAFETY_KINDS for point in device.built.points)


def _own(config: Config) -> Iterator[str]:
    """The ids of the gateway's own alarms."""
    yield from OF_GATEWAY
    for name, uplink in config.uplinks.items():
        yield from alarms_of(name, uplink)
    for name, device in config.devices.items():
        yield from pointplan.alarms_of(name, device)
        if isinstance(device.built, Output) and device.built.safe:
            yield output_failed(name)
    yield from alarms_of_detectors([name for name, device in config.devices.items() if _has(device, "smoke")])


def _derivations(config: Config) -> Iterator[tuple[str, Derivation]]:
    timezone = _zone(config.site.timezone)
    for device_id, device in config.devices.items():
        derivation = device.built.derivation(timezone)
        if derivation is not None:
            yield device_id, derivation


def _sources(devices: Mapping[str, Device]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for device_id, device in devices.items():
        if isinstance(device.built, Derived):
            yield device_id, tuple(source for source in device.built.sources if source in devices)


def _settings(devices: Mapping[str, Device]) -> Iterator[tuple[SettingPoint, Setting]]:
    for device_id, device in devices.items():
        if isinstance(device.built, Adjustable):
            for point in device.built.settings:
                yield SettingPoint(device_id, point), Setting(device.link, partial(device.built.refusal, point))


def _rule(rule_id: str, options: RuleOptions, config: Config) -> Rule:
    on_delay_s, off_delay_s = delays(options)
    return Rule(
        hours=_hours(options.during or options.not_during, config),
        during=options.not_during is None,
        hold_chattering=options.hold_chattering,
        re_alarm_s=inf if options.re_alarm_after is None else options.re_alarm_after,
        suppression=_suppression(options.suppressed_while, config),
        id=rule_id,
        condition=_group(options, config) or _of_kind(_condition(options, config.fences), _kind_of(options, config)),
        on_delay_s=on_delay_s,
        off_delay_s=off_delay_s,
        priority=options.priority,
        latch=bool(options.latch),
        response=called(options, config.responses_by_priority),
        text=options.text,
    )


def _times(config: Config) -> Times:
    said = config.reporting
    confirms = any("confirm" in uplink.commands for uplink in config.uplinks.values())
    confirm_s = said.confirm_within if confirms else None
    return Times(confirm_s, said.re_alarm_after, said.escalate_after, said.report_within)


def _at_step(said: Reporting) -> dict[Change, str]:
    called = {Change.UNCONFIRMED: said.unconfirmed, Change.ESCALATED: said.escalated}
    return {step: response for step, response in called.items() if response is not None}


def _suppression(said: SuppressionOptions | None, config: Config) -> Suppression | None:
    """What explains the alarm of a rule; nothing does whose device is off."""
    about = () if said is None else targets(said, config.devices)
    if said is None or not about:
        return None
    device, point = about[0]
    return Suppression(Term(device, point.name, _limits_of(said, config.fences)), said.for_at_most)


def _hours(name: str | None, config: Config) -> Hours | None:
    if name is None:
        return None
    return Hours(tuple(map(stretch, config.hours[name].open)), _zone(config.site.timezone))


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)  # a machine without time zone data knows no other


def _group(options: RuleOptions, config: Config) -> AtLeast | None:
    """What a rule on several points counts; None for a rule on one."""
    made_of = group(options)
    if made_of is None:
        return None
    terms = tuple(
        Term(device, point.name, _of_kind(_limits_of(term, config.fences), point.kind))
        for term in made_of.terms
        for device, point in targets(term, config.devices)
    )
    return AtLeast(len(terms) if made_of.needed is None else made_of.needed, terms)


def _condition(options: RuleOptions, fences: Mapping[str, FencePart]) -> Condition:
    if options.silent_for is not None:
        return SilentFor(options.silent_for)
    if options.changes_faster_than is not None:
        return Changes(*options.changes_faster_than)
    return _limits_of(options, fences)


def _limits_of(options: TermOptions, fences: Mapping[str, FencePart]) -> Above | Below | Outside | Equals | AtFence:
    if options.fence is not None:
        return AtFence(fence_of(options.fence, fences[options.fence]), inside=options.inside is not None)
    if options.above is not None:
        return Above(options.above, _or(options.clear_below, options.above))
    if options.below is not None:
        return Below(options.below, _or(options.clear_above, options.below))
    if isinstance(options.outside, tuple):
        low, high = options.outside
        return Outside(Below(low, _or(options.clear_above, low)), Above(high, _or(options.clear_below, high)))
    if options.equals is None:
        raise ValueError("a rule without a condition passed the check of the configuration")
    return Equals(options.equals)


def _kind_of(options: TermOptions, config: Config) -> str:
    return next((point.kind for _, point in targets(options, config.devices)), "")


def _of_kind(condition: _C, kind: str) -> _C:
    """The condition on points of this kind: a faulty smoke detector does not tell whether there is smoke."""
    if isinstance(condition, Equals) and kind == "smoke" and condition.value == "alarm":
        return replace(condition, unknown="fault")
    return condition


def _or(given: float | None, otherwise: float) -> float:
    return otherwise if given is None else given


def _targets(rule_id: str, options: RuleOptions, devices: Mapping[str, Device]) -> Iterator[Target]:
    """The points that a rule is on, each with its alarm: of one point the rule's own, of a kind one for each point."""
    about = targets(options, devices)
    if group(options) is not None:  # one alarm, shown at the first of its points
        device_id, point = about[0]
        kind = next((each.kind for _, each in about if each.kind in FIRE_KINDS), point.kind)
        patience_s = max(_patience_s(devices[device]) for device, _ in about)
        yield Target(rule_id, device_id, point.name, devices[device_id].zone, kind, patience_s)
        return
    for device_id, point in about:
        alarm = rule_id if options.point is not None else f"{rule_id}@{device_id}.{point.name}"
        device = devices[device_id]
        yield Target(alarm, device_id, point.name, device.zone, point.kind, _patience_s(device))


def _watched(config: Config, rules: tuple[tuple[Rule, tuple[Target, ...]], ...]) -> Iterator[tuple[str, Watched]]:
    """What rules are about, by device; but for rules on silence, which say by themselves that nothing comes."""
    judged = {place for rule, on in rules for place in _places(rule, on)}
    silent = {place for rule, on in rules if isinstance(rule.condition, SilentFor) for place in _places(rule, on)}
    for device_id, device in config.devices.items():
        points = {name for own, name in judged - silent if own == device_id}
        if points:
            patience_s = max(_patience_s(device), SATELLITE_PATIENCE_S if _has(device, "position") else 0.0)
            made_of = tuple(_made_of(device, config.devices))
            yield device_id, Watched(device.link, tuple(sorted(points)), patience_s, _tells_of_fire(device), made_of)


def _made_of(device: Device, devices: Mapping[str, Device]) -> Iterator[tuple[str, str]]:
    """The devices with a link that a device is made of, with that link; none if it has one itself."""
    for name in device.built.sources if isinstance(device.built, Derived) else ():
        source = devices.get(name)
        if source is not None:
            yield from _made_of(source, devices) if isinstance(source.built, Derived) else [(name, source.link)]


def _told(rule: Rule, responses: Mapping[str, Response]) -> tuple[str, ...]:
    return () if rule.response is None else responses[rule.response].tell


def _places(rule: Rule, on: tuple[Target, ...]) -> Iterator[tuple[str, str]]:
    """The points that a rule is about, as (device, point)."""
    about = rule.condition.terms if isinstance(rule.condition, AtLeast) else on
    return ((each.device, each.point) for each in about)


def _patience_s(device: Device) -> float:
    return max(SMOKE_PATIENCE_S if _tells_of_fire(device) else PATIENCE_S, INTERVALS * device.every)


def _tells_of_fire(device: Device) -> bool:
    return any(_has(device, kind) for kind in FIRE_KINDS)


def _has(device: Device, kind: str) -> bool:
    return any(point.kind == kind for point in device.built.points)


def _about(
    config: Config, rules: tuple[tuple[Rule, tuple[Target, ...]], ...], responses: Mapping[str, Response]
) -> About:
    devices = tuple(
        DeviceAbout(
            device=device_id,
            name=device.name,
            driver=device.driver,
            link=device.link,
            zone=device.zone,
            points=device.built.points,
            rules=tuple(
                RuleAbout(rule.id, point, str(rule.condition), rule.priority, _told(rule, responses))
                for rule, on in rules
                for own, point in _places(rule, on)
                if own == device_id
            ),
            calibrations=pointplan.calibrations(device),
            derived_from=device.built.sources if isinstance(device.built, Derived) else (),
        )
        for device_id, device in config.devices.items()
    )
    return About(
        site=config.site.id,
        site_name=config.site.name,
        gateway=config.gateway.id,
        version=__version__,
        config=config.hash,
        zones=tuple(sorted({device.zone for device in config.devices.values()})),
        devices=devices,
    )
