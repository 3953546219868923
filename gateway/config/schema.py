"""The typed tree of the configuration: every option, its unit, its default and what it is for.

Written as YAML (load.py), checked as JSON: strictly, where a list gives a tuple and a word an enum. Durations are in
seconds here and written with a unit (`10s`, `200ms`, `10m`, `2h`, `7d`); sizes are in bytes here and written with a
unit (`64kB`, `500MB`, `2GB`). A name that Python keeps for itself ends in `_` here only.

Plain dataclasses: pydantic checks what becomes of a file (typed.py), and who holds a tree needs no pydantic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from gateway.config.points import KindPart, PointPart
from gateway.config.written import (
    Duration,
    Filled,
    Id,
    OneOrMore,
    PairOrName,
    PerTime,
    Size,
    Text,
    TextOrMap,
    Within,
    ZonePath,
)
from gateway.driver import Doc, Driver
from gateway.model import Priority

_Degrees: TypeAlias = Annotated[float, Within(ge=1, le=180)]
_Every: TypeAlias = Annotated[Duration, Within(gt=0, le=86400)]
_Metres: TypeAlias = Annotated[float, Within(ge=0, le=1_000_000)]
_Place: TypeAlias = tuple[float, float]
_Pulse: TypeAlias = Annotated[Duration, Within(ge=0.2, le=3600)]


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
class Uplink:
    """One MQTT connection to a platform."""

    enabled: Annotated[bool, Doc("false: checked, but not used")] = True
    url: Annotated[
        tuple[Filled, ...],
        OneOrMore(),
        Doc("mqtts://host:8883, wss://host/mqtt, or mqtt://host:1883 without encryption; or a list, the best first"),
    ]
    client_id: Annotated[Text, Doc("Default: <site>-<gateway>")] = ""
    username: Text = ""
    password_file: Annotated[Text, Doc("A file of mode 0600 beside the configuration, or a systemd credential")] = ""
    ca_file: Annotated[Text, Doc("Who signs the broker's certificate; default: the system's store")] = ""
    cert_file: Annotated[Text, Doc("This gateway's own certificate, if the broker asks for one")] = ""
    key_file: Annotated[Text, Doc("The key of cert_file, mode 0600")] = ""
    proxy: Annotated[Text, Doc("An HTTP proxy on the way to the broker: http://host:port")] = ""
    proxy_username: Annotated[Text, Doc("If the proxy wants a login; it travels to the proxy in the clear")] = ""
    proxy_password_file: Annotated[Text, Doc("As password_file")] = ""
    keepalive: Annotated[Duration, Within(ge=5, le=3600), Doc("A silence of this length is asked about")] = 30.0
    window: Annotated[int, Within(ge=1, le=1000), Doc("Messages that may wait for their acknowledgement")] = 20
    linger: Annotated[
        Duration, Within(ge=0, le=60), Doc("How long a reading waits for more to be sent with it; events never")
    ] = 1.0
    compression: Annotated[
        Literal["none", "gzip"], Doc("gzip: batches of telemetry are compressed where that makes them smaller")
    ] = "none"
    expire_live: Annotated[
        Annotated[Duration, Within(ge=1, le=30 * 86400)] | None,
        Doc("MQTT 5: live telemetry that waits longer at the broker is thrown away there; never events and backlog"),
    ] = None
    backlog_rate: Annotated[
        int, Within(ge=1, le=100_000), Doc("Stored records a second, after an outage, beside the live ones")
    ] = 5000
    acknowledged_by: Annotated[
        Literal["broker", "platform"],
        Doc("Who has to have a record for good: platform, where it confirms what it has stored"),
    ] = "broker"
    confirm_within: Annotated[
        Duration, Within(ge=1, le=3600), Doc("With acknowledged_by: platform: what is not confirmed by then goes again")
    ] = 60.0
    commands: Annotated[
        tuple[
            Literal[
                "acknowledge",
                "reset",
                "shelve",
                "unshelve",
                "out_of_service",
                "in_service",
                "confirm",
                "silence",
                "set_output",
                "test_response",
                "set_occupancy",
                "test_mode",
                "disable",
                "enable",
                "read_now",
                "write_point",
                "reload",
            ],
            ...,
        ],
        Doc("What this platform may ask of the gateway, beside resend; write_point: of the settings that devices name"),
    ] = ()
    command_key: Annotated[
        tuple[Filled, ...],
        OneOrMore(),
        Doc("The platform's public Ed25519 key, or several: write_point, set_output and reload have to be signed then"),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """How the RTS line of a port switches an RS-485 transceiver between sending and receiving."""

    rts: Annotated[Literal["high", "low"], Doc("The level of RTS while sending; the other one while receiving")] = (
        "high"
    )
    before: Annotated[Duration, Within(ge=0, le=0.1), Doc("From switching to the first bit, in whole ms")] = 0.0
    after: Annotated[Duration, Within(ge=0, le=0.1), Doc("From the last bit to switching back, in whole ms")] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialLink:
    """A serial port: one RS-485 bus, or one device that talks by itself."""

    type: Literal["serial"]
    enabled: Annotated[bool, Doc("false: checked, but not used, nor its devices")] = True
    port: Annotated[Filled, Doc("The device file; /dev/serial/by-id/... stays the same")]
    baudrate: Annotated[int, Within(ge=300, le=4_000_000)] = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stopbits: Literal[1, 2] = 1
    timeout: Annotated[
        Annotated[Duration, Within(ge=0.01, le=10)] | None,
        Doc("For an answer; default: 300 ms and twice the time on the wire"),
    ] = None
    guard: Annotated[
        Duration, Within(ge=0, le=1), Doc("Silence before a request, beyond 3.5 characters, for slow devices")
    ] = 0.0
    echo: Annotated[bool, Doc("true: the adapter hears what it sends")] = False
    direction: Annotated[
        Direction | None,
        Doc("For a port whose driver switches the transceiver by RTS; without it the adapter does so by itself"),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpLink:
    """A TCP peer: a Modbus TCP device or gateway, or a serial server."""

    type: Literal["tcp"]
    enabled: Annotated[bool, Doc("false: checked, but not used, nor its devices")] = True
    host: Annotated[Filled, Doc("Name or address")]
    port: Annotated[int, Within(ge=1, le=65535)] = 502
    framing: Annotated[Literal["tcp", "rtu"], Doc("rtu: a serial server that passes RTU frames through")] = "tcp"
    timeout: Annotated[Duration, Within(ge=0.01, le=30), Doc("For a connection and for an answer")] = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GpioLink:
    """The GPIO header of the Raspberry Pi, or a simulated one."""

    type: Literal["gpio"]
    enabled: Annotated[bool, Doc("false: checked, but not used, nor its devices")] = True
    factory: Annotated[Literal["auto", "mock"], Doc("mock: simulated pins, for trying things out")] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesLink:
    """Files of the kernel: 1-wire sensors, and what the machine says of itself."""

    type: Literal["files"]
    enabled: Annotated[bool, Doc("false: checked, but not used, nor its devices")] = True
    root: Annotated[Filled, Doc("The folder that is taken for /, for trying things out")] = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayLink:
    """A recorded exchange (tests/drivers/*.capture) in place of a wire."""

    type: Literal["replay"]
    enabled: Annotated[bool, Doc("false: checked, but not used, nor its devices")] = True
    capture: Annotated[Filled, Doc("The recording's file")]
    loop: Annotated[bool, Doc("true: begin again at its end")] = False


Link: TypeAlias = SerialLink | TcpLink | GpioLink | FilesLink | ReplayLink


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """When a point that is recorded is also sent; until then it is only stored."""

    deadband: Annotated[
        Annotated[float, Within(ge=0)] | None,
        Doc("Sent when it has moved by more than this from what was sent last; default: that of recording"),
    ] = None
    max_every: Annotated[
        Annotated[Duration, Within(gt=0, le=86400)] | None,
        Doc("Sent after this time at the latest, changed or not; default: that of recording"),
    ] = None
    distance: Annotated[_Metres | None, Doc("As in report; default: that of recording")] = None
    turn: Annotated[_Degrees | None, Doc("As in report; default: that of recording")] = None
    at_rest_every: Annotated[_Every | None, Doc("As in report; default: that of recording")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """When a point is recorded: when it has changed, and from time to time even if it has not."""

    deadband: Annotated[
        float, Within(ge=0), Doc("Recorded when it has moved by more than this, in the point's unit; numbers only")
    ] = 0.0
    max_every: Annotated[
        _Every | None,
        Doc("Recorded after this time at the latest, changed or not; default: 60s, for a position that moves 30s"),
    ] = None
    distance: Annotated[
        _Metres | None, Doc("Of a position: recorded when it is so far from the last one, in metres; default: 200")
    ] = None
    turn: Annotated[
        _Degrees | None, Doc("Of a position: recorded when its course has changed by so many degrees; default: 10")
    ] = None
    at_rest_every: Annotated[
        _Every | None, Doc("Of a position: recorded after this time where it has not moved by 30 m; default: 5m")
    ] = None
    send: Annotated[
        Send | None, Doc("When it is sent, where that is less often; without it all that is recorded is")
    ] = None


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
class Term:
    """A condition on one point (`point: device.point`), or on all points of a kind (`kind`, and `zone` if not all)."""

    point: Annotated[Text | None, Doc("The one point that it is about: device.point")] = None
    kind: Annotated[Text | None, Doc("The kind of points that it is about, as in smoke")] = None
    zone: Annotated[ZonePath | None, Doc("With kind: only points in this zone and the zones in it")] = None
    above: Annotated[float | None, Doc("Alarm while the value is greater")] = None
    below: Annotated[float | None, Doc("Alarm while the value is less")] = None
    outside: Annotated[
        Annotated[tuple[float, float] | Id, PairOrName()] | None,
        Doc("Alarm below the first or above the second; or, of a position, outside of this fence"),
    ] = None
    inside: Annotated[Id | None, Doc("Of a position: alarm inside of this fence, an id of fences")] = None
    equals: Annotated[bool | int | float | str | None, Doc("Alarm while the value is this, as in open or alarm")] = None
    clear_below: Annotated[float | None, Doc("With above or outside: the alarm ends at this value, not before")] = None
    clear_above: Annotated[float | None, Doc("With below or outside: the alarm ends at this value, not before")] = None

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """Below the first, or above the second, is alarm."""
        return self.outside if isinstance(self.outside, tuple) else (self.below, self.above)

    @property
    def fence(self) -> str | None:
        """The fence that it is about."""
        return self.outside if isinstance(self.outside, str) else self.inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression(Term):
    """What the plant does that explains an alarm: a defrost, an open dock door."""

    for_at_most: Annotated[Duration, Within(gt=0, le=14_400), Doc("After so long it explains nothing any more")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Term):
    """A condition, or one made of several, and what follows from it."""

    enabled: Annotated[bool, Doc("false: checked, but not used")] = True
    changes_faster_than: Annotated[PerTime | None, Doc("Alarm while it has changed by more, as in 5/10min")] = None
    silent_for: Annotated[
        Annotated[Duration, Within(gt=0)] | None, Doc("Alarm when no good value came for so long")
    ] = None
    all_of: Annotated[tuple[Term, ...], Doc("One alarm while all of these hold")] = ()
    any_of: Annotated[tuple[Term, ...], Doc("One alarm while one of these holds")] = ()
    at_least: Annotated[int | None, Within(ge=1), Doc("With of: one alarm while at least so many of these hold")] = None
    of: Annotated[tuple[Term, ...], Doc("What at_least counts; all points of a kind count one by one")] = ()
    for_: Annotated[
        Annotated[Duration, Within(ge=0)] | None,
        Doc("How long the condition must hold before the alarm (on-delay); default: that of the kind, else 0s"),
    ] = None
    clear_for: Annotated[
        Annotated[Duration, Within(ge=0)] | None,
        Doc("How long it must have ended before the alarm does (off-delay); default: that of the kind, else 0s"),
    ] = None
    during: Annotated[Id | None, Doc("A rule within these hours alone, an id of hours")] = None
    not_during: Annotated[Id | None, Doc("A rule outside of these hours alone, an id of hours")] = None
    priority: Annotated[Priority, Doc("The risk: high, medium or low")] = Priority.MEDIUM
    re_alarm_after: Annotated[
        Annotated[Duration, Within(ge=60)] | None,
        Doc("When one that was acknowledged and still stands is told again"),
    ] = None
    suppressed_while: Annotated[
        Suppression | None, Doc("While this holds the alarm is recorded and calls nobody; not for a high one")
    ] = None
    hold_chattering: Annotated[
        bool, Doc("An alarm that comes three times in a minute is held for ten; false: it comes and goes as it does")
    ] = True
    latch: Annotated[bool | None, Doc("true: stands until a person resets it; default: only of smoke")] = None
    response: Annotated[Id | None, Doc("What to do on the spot, an id of responses")] = None
    text: Annotated[Text, Doc("What is wrong, for people; default: the condition in words")] = ""


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
class Response:
    """What happens on the spot while an alarm stands."""

    set: Annotated[dict[str, Literal["on", "off"]], Doc("Outputs to switch: device: on or device: off")] = field(
        default_factory=dict
    )
    pulse: Annotated[
        dict[str, tuple[_Pulse, _Pulse]],
        Doc("By output that is switched on: how long on and how long off, again and again, as in [3s, 1s]"),
    ] = field(default_factory=dict)
    at_most: Annotated[
        dict[str, Annotated[Duration, Within(ge=1, le=86400)]], Doc("By output: after how long it is given up")
    ] = field(default_factory=dict)
    audible: Annotated[tuple[Text, ...], Doc("The outputs that sound: `sitewarden silence` switches them off")] = ()
    until: Annotated[
        Literal["cleared", "acknowledged", "reset"],
        Doc("When it is undone: the alarm is over; somebody has seen it; it is over and somebody has seen it"),
    ] = "cleared"
    say: Annotated[
        str | dict[str, Filled], TextOrMap(), Doc("What people should do: a text, or one in each language of the site")
    ] = ""
    tell: Annotated[tuple[Filled, ...], Doc("Who is to be told, names or roles: it stands in the alarm")] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesByPriority:
    """What is done on the spot for rules that name no response of their own."""

    high: Annotated[Id | None, Doc("Of rules of high priority, an id of responses")] = None
    medium: Annotated[Id | None, Doc("Of rules of medium priority")] = None
    low: Annotated[Id | None, Doc("Of rules of low priority")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporting:
    """What has to happen to a high alarm in its first minutes; what does not is an event, and can be a response."""

    confirm_within: Annotated[
        Duration, Within(gt=0), Doc("By when a platform confirms it, if one may: `commands: [confirm]` at its uplink")
    ] = 100.0
    re_alarm_after: Annotated[Duration, Within(gt=0), Doc("When it is told again, unless a person has seen it")] = 300.0
    escalate_after: Annotated[Duration, Within(gt=0), Doc("When it escalates, unless a person has seen it")] = 480.0
    report_within: Annotated[Duration, Within(gt=0), Doc("When its report counts as overdue")] = 600.0
    unconfirmed: Annotated[Id | None, Doc("What to do while it is not confirmed, an id of responses")] = None
    escalated: Annotated[Id | None, Doc("What to do while it is escalated, an id of responses")] = None


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
