"""The typed tree of the configuration: every option, its unit, its default and what it is for.

Its larger parts stand in links.py, reports.py, responses.py, rules.py and uplinks.py, and are had from here.

Written as YAML (load.py), checked as JSON: strictly, where a list gives a tuple and a word an enum. Durations are in
seconds here and written with a unit (`10s`, `200ms`, `10m`, `2h`, `7d`); sizes are in bytes here and written with a
unit (`64kB`, `500MB`, `2GB`). A name that Python keeps for itself ends in `_` here only.

Plain dataclasses: pydantic checks what becomes of a file (typed.py), and who holds a tree needs no pydantic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from gateway.config.links import Direction, FilesLink, GpioLink, Link, ReplayLink, SerialLink, TcpLink
from gateway.config.points import KindPart, PointPart
from gateway.config.reports import Report, Send
from gateway.config.responses import Reporting, Response, ResponsesByPriority
from gateway.config.rules import Rule, Suppression, Term
from gateway.config.uplinks import Uplink
from gateway.config.written import Duration, Id, OneOrMore, Size, Text, Within, ZonePath
from gateway.driver import Doc, Driver

__all__ = [
    "Config",
    "Device",
    "DeviceKeys",
    "Direction",
    "FencePart",
    "FilesLink",
    "GatewayPart",
    "GpioLink",
    "Hours",
    "Link",
    "ReplayLink",
    "Report",
    "Reporting",
    "Response",
    "ResponsesByPriority",
    "Rule",
    "Send",
    "SerialLink",
    "Site",
    "Storage",
    "Suppression",
    "TcpLink",
    "Term",
    "Uplink",
]

_Place: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The place this gateway watches."""

    id: Annotated[Id, Doc("The site's name in topics, the same for all its gateways")]
    name: Annotated[Text, Doc("The site's name for people")] = ""
    timezone: Annotated[Text, Doc("Of hours, and for people, as in Asia/Shanghai; records are in UTC")] = "UTC"
    languages: Annotated[
        tuple[Id, ...], Doc("Of the people there, as in [zh, en]: those of what responses say, the main one first")
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPart:
    """This gateway."""

    id: Annotated[Id, Doc("This gateway's name in topics, unique at its site")]
    allow_fire_linkage: Annotated[
        bool, Doc("true: devices that say so, too, may act on a certified fire system (acts_on: fire_system)")
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """The journal on disk."""

    commit_every: Annotated[
        Duration, Within(ge=0.05, le=60), Doc("The most telemetry that a power cut may lose; events never wait")
    ] = 1.0
    max_size: Annotated[
        Size, Within(ge=1_000_000), Doc("The most that the journal takes of the disk, all its files together")
    ] = 1_000_000_000
    keep_acknowledged: Annotated[
        Duration, Within(ge=0), Doc("How long records are kept at least after every uplink has them")
    ] = 7 * 86400.0
    keep_telemetry: Annotated[
        Duration,
        Within(ge=0),
        Doc("How long telemetry is kept that every uplink has, or that is not sent, as far as there is space"),
    ] = 7 * 86400.0
    keep_events: Annotated[
        Duration, Within(ge=0), Doc("How long events are kept that every uplink has, as far as there is space")
    ] = 400 * 86400.0
    event_share: Annotated[
        int, Within(ge=1, le=50), Doc("Percent of max_size that telemetry leaves to events, at least")
    ] = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKeys:
    """The keys that every device has; the remaining ones are the options of its driver."""

    enabled: Annotated[bool, Doc("false: checked, but not used, nor the rules on it")] = True
    driver: Annotated[Id, Doc("What kind of device it is")]
    link: Annotated[
        Id | None, Doc("The link that it is connected to; a device that is made of other devices has none")
    ] = None
    zone: Annotated[ZonePath, Doc("Where it is, as in cold-store/room-1")]
    name: Annotated[Text, Doc("Its name for people; default: its id")] = ""
    every: Annotated[
        Annotated[Duration, Within(gt=0, le=86400)] | None,
        Doc("Time between polls; of a device that talks by itself: how often it is expected to"),
    ] = None
    report: Annotated[
        dict[str, Report],
        Doc("By point: when it is recorded; the others as the site's report says, or at each reading"),
    ] = field(default_factory=dict)
    points: Annotated[
        dict[str, PointPart],
        Doc("By point: what can be believed of it, beside what is said of its kind, and its calibration"),
    ] = field(default_factory=dict)
    acts_on: Annotated[
        Literal["site", "fire_system"] | None,
        Doc("What its outputs act on; fire_system (sprinklers, extinguishing, a panel) has to be allowed, too"),
    ] = None
    allow_fire_linkage: Annotated[
        bool, Doc("true, here and at the gateway: its outputs may act on a certified fire system")
    ] = False
    usual_rules: Annotated[
        bool, Doc("false: without the rules that its driver brings along where the site has none on the same point")
    ] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One sensor or actuator, its driver already `built` from its options."""

    driver: Id
    link: str  # "": none, it is made of other devices
    name: str
    zone: str
    every: float  # seconds between polls; for a device that talks by itself, how often it is expected to
    built: Driver
    report: dict[str, Report] = field(default_factory=dict)  # by point
    points: dict[str, PointPart] = field(default_factory=dict)  # those of which something is said
    acts_on: str | None = None  # what its outputs act on: "site" or "fire_system"
    allow_fire_linkage: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FencePart:
    """A place on the map: a circle (`centre` and `radius`) or a polygon."""

    name: Annotated[Text, Doc("Its name for people; default: its id")] = ""
    centre: Annotated[_Place | None, Doc("Of a circle: [latitude, longitude], degrees WGS 84, as in [52.5, 13.4]")] = (
        None
    )
    radius: Annotated[float | None, Doc("Of a circle: metres")] = None
    polygon: Annotated[tuple[_Place, ...], Doc("In place of a circle: its corners in their order, each as centre")] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Hours of the week by the clock on the site's wall."""

    open: Annotated[
        tuple[Text, ...], OneOrMore(), Doc("Days and times, as in mon-fri 06:00-22:00, sat 22:00-06:00, sun")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One gateway's whole configuration, checked; disabled parts are left out. `hash` names these very contents."""

    site: Site
    gateway: GatewayPart
    storage: Storage
    uplinks: dict[str, Uplink]
    links: dict[str, Link]
    devices: dict[str, Device]
    rules: dict[str, Rule]
    responses: dict[str, Response]
    responses_by_priority: ResponsesByPriority
    hours: dict[str, Hours]
    fences: dict[str, FencePart]
    reporting: Reporting
    report: dict[str, Report]  # by kind: the points of all devices that say nothing of their own
    points: dict[str, KindPart]  # by kind, as far as devices say nothing of their own
    hash: str
    folder: str  # of the configuration file: relative file names are below it
    off: tuple[str, ...] = ()  # what was left out, in words
    notes: tuple[str, ...] = ()  # what is right and yet worth a look, in words
    by_kind: dict[str, tuple[str, ...]] = field(default_factory=dict)  # rule -> what it has by its kind (bykind.py)
