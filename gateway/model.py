"""The nouns of Sitewarden, one word per idea: the glossary of the code, the messages and the documentation.

Link      an opened physical connection that devices may share: a serial line, a TCP peer, the GPIO header
Device    one configured sensor or actuator on a link, in a zone
Driver    the translator for one kind of device; owns no port, clock, retry or log (driver.py)
Point     one named quantity of a device, with a kind (temperature, smoke, ...); the kind fixes unit and form (units.py)
Setting   a number in a device that a command may change, as a set point; written once, and read back
Values    what a driver returns: point -> value, or Bad(reason). Lives only between driver and poller
Reading   one device at one moment: values, and the reason for each bad point
Zone      a place (`cold-store/room-1`); rules may address all points of one kind in a zone
Rule      a condition on points, with limits, delays, priority, latch and response
Alarm     the life of one rule on one point; its id is `rule`, or `rule@device.point` where a rule covers several.
          The gateway's own alarms have neither rule nor point; their ids are `what@where`, without a dot
Response  what to do on the spot when an alarm changes: outputs to switch, text for people
Fact      what the hub is told
Question  what a person wants to know of a link or device beside its polls, through the running daemon
Decision  everything that one fact leads to: records, changed state, writes to outputs, notices, replies, questions,
          reloads, reads
Record    one encoded line of the journal in a lane, numbered by the hub before anyone tries to store it
Run       one life of the daemon process, a new random id at every start; (gateway, run, lane, seq) names a record
Journal   the durable log of records and of the state that belongs to them, and what each uplink has acknowledged
Uplink    one MQTT connection, its sender and its window of unacknowledged messages
Hub       the one thread that decides
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from gateway.errors import SitewardenError
from gateway.units import Form

Value: TypeAlias = bool | int | float | str | tuple[float, float]
"""A number in the unit of its point's kind, a word of a state, or a position: (latitude, longitude), degrees WGS 84."""

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None


class Reason(StrEnum):
    """Why a point has no good value."""

    NO_REPLY = "no_reply"  # the device did not answer, or not with a whole, right frame
    LINK_DOWN = "link_down"  # its port or connection is gone
    SILENT = "silent"  # a device that talks by itself has stopped talking
    REFUSED = "refused"  # the device said that it has no such register
    SENSOR_FAULT = "sensor_fault"  # the sensor itself calls the value invalid
    OUT_OF_RANGE = "out_of_range"  # not a value that this sensor can measure, or that can be at this place
    TOO_FAST = "too_fast"  # it moved faster than is believable; the next reading decides
    NO_FIX = "no_fix"  # the GPS receiver has no usable position
    POOR_FIX = "poor_fix"  # its position is too vague: too few satellites, or badly spread ones
    WRITE_FAILED = "write_failed"  # an output did not take or did not confirm its value
    DRIVER_BUG = "driver_bug"  # our own fault: see the log


class Lane(StrEnum):
    """The streams of records: events overtake telemetry, and are never dropped in favour of it.

    What is local is telemetry that is stored and not sent: a lane of its own, so that the numbers of what is sent have
    no holes. No uplink knows it.
    """

    EVENT = "event"
    TELEMETRY = "telemetry"
    LOCAL = "local"


SENT_LANES = (Lane.EVENT, Lane.TELEMETRY)
"""The lanes that go to the platforms."""


class Trust(StrEnum):
    """How far a wall time can be relied on, best first."""

    SYNCED = "synced"
    GPS = "gps"
    RTC = "rtc"
    ESTIMATED = "estimated"
    UNSYNCED = "unsynced"


class Priority(StrEnum):
    """The risk level of a rule."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class AlarmState(StrEnum):
    """Where an alarm stands, after ISA-18.2 / IEC 62682 (notes and table: rules/lifecycle.py)."""

    NORMAL = "normal"
    UNACK_ACTIVE = "unack_active"
    ACK_ACTIVE = "ack_active"
    RTN_UNACK = "rtn_unack"
    LATCHED_UNACK = "latched_unack"
    LATCHED_ACK = "latched_ack"


class Hiding(StrEnum):
    """What hides an alarm from people while it goes on being judged (rules/overlay.py)."""

    OUT_OF_SERVICE = "out_of_service"
    SUPPRESSED = "suppressed"
    SHELVED = "shelved"


@dataclass(frozen=True, slots=True)
class Bad:
    """A point without a good value, and why."""

    reason: Reason


Values: TypeAlias = Mapping[str, Value | Bad]


@dataclass(frozen=True, slots=True)
class Point:
    """One named quantity of a device. `kind` is a key of units.KINDS and fixes form and unit.

    Beyond `least` and `most`, in that unit, its driver calls a value bad.
    """

    name: str
    kind: str
    form: Form
    unit: str
    writable: bool = False
    least: float | None = None
    most: float | None = None


class Moment(NamedTuple):
    """Now: monotonic seconds (for every delay) and wall time in UTC milliseconds (a label only), with its trust."""

    mono: float
    ts: int
    trust: Trust


class Reading(NamedTuple):
    """One device at the moment `mono` (seconds) / `ts` (UTC ms): good values, and the reason for each bad point.

    `test`: its zone is under test.
    """

    device: str
    mono: float
    ts: int
    values: Mapping[str, Value]
    bad: Mapping[str, Reason]
    test: bool = False


class Record(NamedTuple):
    """One line of the journal. `text` is a JSON object without `seq` and `ts`; stored and sent as it is."""

    lane: Lane
    seq: int
    ts: int  # UTC ms of the sample, never of sending
    trust: Trust
    mono_ms: int
    text: str


class Row(NamedTuple):
    """A record as the journal keeps it: `id` orders the rows of a lane over all runs; `run` names the run it is of."""

    id: int
    run: str
    record: Record


# ---------------------------------------------------------------- facts: what the hub is told


class LinkLost(NamedTuple):
    """A link went down: what happened, and a hint for the operator."""

    link: str
    what: str
    hint: str


class LinkBack(NamedTuple):
    """A link is usable (again) after `down_s` seconds; 0.0 at the first opening."""

    link: str
    down_s: float


class DeviceLost(NamedTuple):
    """A device missed several polls in a row and is asked less often from now on."""

    device: str
    what: str
    hint: str


class DeviceBack(NamedTuple):
    """A lost device answered again after `lost_s` seconds."""

    device: str
    lost_s: float


class UplinkUp(NamedTuple):
    """An uplink's broker at `url` accepted the connection, speaking MQTT `version` ("5" or "3.1.1")."""

    uplink: str
    version: str
    url: str = ""


class UplinkDown(NamedTuple):
    """An uplink has no connection; said once per reason."""

    uplink: str
    what: str
    hint: str


class Stored(NamedTuple):
    """These rows are on the disk: the commit has returned. Told to the hub and to every sender.

    `told` of the rows were Unstored before; the senders, which have had their telemetry, are told the others.
    """

    rows: tuple[Row, ...]
    told: int = 0


class Unstored(NamedTuple):
    """These rows wait for a disk that fails, in bounded memory: they are sent from there, and no longer waited for."""

    rows: tuple[Row, ...]


class PreviousRun(NamedTuple):
    """The run before this one, and the last numbers that the journal holds of it (0: none)."""

    run: str
    last_event: int
    last_telemetry: int


class Recovered(NamedTuple):
    """What the journal found at start. `fate`: "kept", "salvaged", "restored" or "new"; `state`: key -> JSON text.

    `aside`: what a damaged file is called now that a new one was begun; "": none was found.
    """

    fate: str
    previous: PreviousRun | None
    state: Mapping[str, str]
    aside: str = ""


class JournalFailed(NamedTuple):
    """The disk does not take records; they wait in bounded memory. `lost` counts telemetry already dropped."""

    what: str
    hint: str
    lost: int


class JournalRestored(NamedTuple):
    """The disk takes records again after `down_s` seconds."""

    down_s: float


class JournalSetAside(NamedTuple):
    """The journal was found damaged while it was in use: it is called `aside` now, and a new one was begun."""

    aside: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that an uplink relies on. `which`: "own", "ca" or "broker"; `until`: valid until then, UTC ms."""

    uplink: str
    which: str
    name: str  # whom it names, or the file
    until: int


class CertificatesRead(NamedTuple):
    """What an uplink has read of its certificates: of each kind the one that expires first.

    `unusable`: why new files were not taken up, "" if nothing is wrong with them; then `hint` says what to do.
    """

    uplink: str
    certificates: tuple[Certificate, ...]
    unusable: str = ""
    hint: str = ""


class Dropped(NamedTuple):
    """Records of one run and lane, `first` to `last`, that were given up before every uplink had them; a gap."""

    of_run: str  # not `run`, which names the run of the event that tells of it
    lane: Lane
    first: int
    last: int
    records: int
    uplinks: tuple[str, ...]  # those that did not have them
    reason: str
    first_ts: int | None = None  # UTC ms of the first and the last of them, as recorded; None where nobody knows
    last_ts: int | None = None
    trust: Trust | None = None  # of the less trusted one of these times


JOURNAL_FAILED = "journal_failed"
"""Why records were dropped that never reached the disk: it failed for longer than memory lasts."""


class RoomDied(NamedTuple):
    """A thread ended by an error of ours and is being started again, for the `times`-th time."""

    room: str
    what: str
    times: int


class Reply(NamedTuple):
    """The answer to a command: `result` is "done" or "refused", `detail` says what or why.

    "not_stored": it is in force, but the disk has not taken it yet.
    To a `write_point` also "failed", or "outcome_unknown" where nobody can tell whether it was done.
    To a `resend` also how many records go `again`, and how many are `gone` for good, where that is known; to a
    `read_now` what the device said.
    """

    id: str
    result: str
    detail: str
    again: int | None = None
    gone: int | None = None
    reading: Reading | None = None


NEED_SIGNATURE = frozenset({"write_point", "set_output", "reload"})
"""The commands that are taken only signed, where an uplink has a key: they write, or change the configuration."""


class Signed(NamedTuple):
    """Who has signed a command, as the id of a key, and its counter, which only grows."""

    key: str
    counter: int


class Command(NamedTuple):
    """A request by a person or the platform. `answer` is called once, from the hub's thread, and must not wait."""

    id: str
    name: str
    args: Mapping[str, Json]
    issuer: str
    source: str  # the uplink's id, or "local"
    expires: int | None  # UTC ms
    answer: Callable[[Reply], None]
    signed: Signed | None = None


class Adjusted(NamedTuple):
    """What became of an `Adjust`: "done", "failed", or "outcome_unknown" where nobody can tell whether it was done.

    `back` is what the setting read back as, None where nothing did; `detail` says more, for people.
    """

    key: str
    result: str
    back: Value | None
    detail: str


class Answered(NamedTuple):
    """An uplink has answered a command by itself, since it is about nothing but its own records; the hub records it."""

    command: Command
    reply: Reply


class TurnedAway(NamedTuple):
    """A request that an uplink has refused by itself, as far as it could be read ("" where it could not), and why.

    `kind`: "retained", "malformed", "not_allowed" or "signature".
    """

    source: str  # the uplink's id
    id: str
    name: str
    issuer: str
    kind: str
    why: str


class ReloadRefused(NamedTuple):
    """The configuration that a command wanted to be taken over cannot be, and why; the old one stays."""

    command: Command
    why: str


class StatusQuery(NamedTuple):
    """Someone wants to see everything; `answer` is called once, from the hub's thread, and must not wait."""

    answer: Callable[[Status], None]


class Passing(NamedTuple):
    """Bytes that passed on a wire at `mono` (monotonic seconds): sent to a device, or received from one."""

    mono: float
    sent: bool
    data: bytes


class ReadWanted(NamedTuple):
    """Registers or bits of a unit, in one exchange; `table` is a name of driver.Table, `address` counts from 0."""

    unit: int
    table: str
    address: int
    size: int  # how many


class PollWanted(NamedTuple):
    """A device, asked as on its turn, which this is not: its schedule and what is recorded of it stay as they are."""

    device: str


class ListenWanted(NamedTuple):
    """Everything that passes on the wire from now on; `hear` must not wait, and ends it by giving False."""

    hear: Callable[[Passing], object]


class Question(NamedTuple):
    """What a person wants to know of a link beside its polls, which go first. It changes nothing.

    `link` may be "" where a device names it. `until` (monotonic s) is when it is too late to ask, and when listening
    ends. `answer` is called once, from the link's thread or the hub's, and must not wait.
    """

    link: str
    wanted: ReadWanted | PollWanted | ListenWanted
    until: float
    answer: Callable[[Answer], None]


class Answer(NamedTuple):
    """What came of a question: registers or bits, or a reading; else the error that says why there is nothing."""

    found: Sequence[int] | Reading | None = None
    fault: SitewardenError | None = None
    passed: tuple[Passing, ...] = ()  # on the wire meanwhile
    took_s: float = 0.0  # on the wire, without the waiting before


class SoonRead(NamedTuple):
    """What came of a SoonWanted."""

    key: str
    answer: Answer


class TimeKnown(NamedTuple):
    """A source beside the system's clock is sure of the time: at monotonic `mono` (seconds) it was `ts` (UTC ms)."""

    mono: float
    ts: int
    trust: Trust


class Tick(NamedTuple):
    """Time has passed; nothing else happened."""


class Stopping(NamedTuple):
    """The daemon is about to stop; the hub's last fact."""

    why: str


# ---------------------------------------------------------------- health: what the rooms say of themselves


@dataclass(frozen=True, slots=True)
class ReadNow:
    """One read that a device's polls make now, with what its driver has learned: of `size` registers or bits."""

    table: str
    address: int  # 0-based
    size: int
    points: tuple[str, ...]
    used: int  # of the `size`, by points


@dataclass(frozen=True, slots=True)
class DeviceHealth:
    """One device as its poller sees it; `state`: "waiting", "ok", "missing" (missed a poll) or "lost" (quarantined)."""

    device: str
    state: str
    polls: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)  # by fault name
    response_ms: float | None = None  # of the last poll that was answered, with all that it asked
    requests: int = 0  # that were sent, of which a poll may take several
    response_p50_ms: float | None = None  # of the last hundred requests that were answered
    response_p95_ms: float | None = None
    every_s: float = 0.0  # as configured
    interval_s: float | None = None  # between its last polls, on average; None before the second
    reads: tuple[ReadNow, ...] = ()  # for people at the gateway; not in what uplinks send


@dataclass(frozen=True, slots=True)
class LinkHealth:
    """One link; `held` counts polls that were skipped because the hub or the journal was behind.

    Requests, failures, response times and load are those of its devices together, and of what people ask beside polls.
    """

    link: str
    up: bool
    devices: tuple[DeviceHealth, ...]
    opens: int = 0
    late: int = 0
    held: int = 0
    noise_bytes: int = 0
    requests: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    response_p50_ms: float | None = None
    response_p95_ms: float | None = None
    load: float | None = None  # share of the last ten seconds for which the wire was in use or waited on


@dataclass(frozen=True, slots=True)
class JournalHealth:
    """The journal: `state` is "ok" or what is wrong; `backlog` counts rows by uplink that it has not acknowledged."""

    state: str
    rows: int
    bytes: int
    waiting: int  # records that are not on the disk yet
    commits: int
    backlog: Mapping[str, int]
    dropped: int
    commit_every_s: float = 1.0  # how long telemetry may wait for its commit, as configured
    chain_length: int = 0  # events that were ever chained (journal/chain.py)
    chain_head: str = ""  # the hash of the last of them, in hex


@dataclass(frozen=True, slots=True)
class UplinkHealth:
    """One uplink; `last_ack` is UTC ms of the last acknowledgement, None before the first."""

    uplink: str
    state: str  # "online", or what is wrong
    version: str
    in_flight: int
    sent: int
    acked: int
    last_ack: int | None
    dropped_commands: int = 0
    unconfirmed: int | None = None  # records that wait for the platform's word; None where a PUBACK is enough
    bad_confirmations: int = 0  # those that could not be read, named an unknown run, or came too fast
    url: str = ""  # of the broker that is connected
    refused: tuple[str, ...] = ()  # lanes of which the broker takes something not, and hardly will, each with why


Health: TypeAlias = LinkHealth | JournalHealth | UplinkHealth

Fact: TypeAlias = (
    Reading
    | Command
    | Adjusted
    | Answered
    | TurnedAway
    | ReloadRefused
    | StatusQuery
    | Question
    | SoonRead
    | LinkLost
    | LinkBack
    | DeviceLost
    | DeviceBack
    | UplinkUp
    | UplinkDown
    | Stored
    | Unstored
    | Recovered
    | JournalFailed
    | JournalRestored
    | JournalSetAside
    | CertificatesRead
    | Dropped
    | RoomDied
    | TimeKnown
    | Tick
    | Stopping
    | LinkHealth
    | JournalHealth
    | UplinkHealth
)

# ---------------------------------------------------------------- decisions: what the hub says


class StateChange(NamedTuple):
    """One piece of state to be stored with its decision; `text` is JSON, None removes the key."""

    key: str
    text: str | None


class Write(NamedTuple):
    """Switch `point` of `device`, which sits on `link`, to `value`."""

    link: str
    device: str
    point: str
    value: Value


class SoonWanted(NamedTuple):
    """Have `device`, which sits on `link`, asked beside its polls, by `until` (monotonic s); told under `key`."""

    link: str
    device: str
    until: float
    key: str


class Adjust(NamedTuple):
    """Write the setting `point` of `device`, which sits on `link`, once; its outcome is told under `key`."""

    link: str
    device: str
    point: str
    value: Value
    key: str


@dataclass(frozen=True, slots=True)
class Hidden:
    """How an alarm is hidden, by whom and why; `until` (UTC ms) where that ends by itself."""

    how: Hiding
    by: str
    why: str
    until: int | None = None

    @property
    def by_alarm(self) -> bool:
        """Whether an alarm that says more hides it: who is called is called by that one, and outputs stay."""
        return self.how is Hiding.SUPPRESSED and self.until is None


@dataclass(frozen=True, slots=True)
class AlarmView:
    """The present state of one alarm, for the retained topic and for people. `seq` is that of its last event.

    An alarm of the gateway's own has no rule, device, point and zone: they are empty.
    """

    alarm: str
    rule: str
    device: str
    point: str
    zone: str
    priority: Priority
    state: AlarmState
    since: int  # UTC ms
    seq: int
    run: str
    value: Value | None
    text: str  # what is wrong, in words
    say: str  # what people should do
    hidden: Hidden | None = None
    chattering: bool = False  # it came too often, and is held
    report: str = ""  # of a high alarm: confirmed, or which step its report has come to
    silenced: bool = False  # what sounds for it is off, by a person
    say_in: Mapping[str, str] = field(default_factory=dict)  # what people should do, in the site's other languages
    tell: tuple[str, ...] = ()  # who is to be told
    test: bool = False  # its zone is under test

    @property
    def at_rest(self) -> bool:
        """Whether there is nothing to know of it."""
        return self.state is AlarmState.NORMAL and self.hidden is None


@dataclass(frozen=True, slots=True)
class AlarmLoad:
    """How many alarms people have and get; those that are hidden count only as such."""

    active: int
    unacknowledged: int
    stale: tuple[str, ...]  # active for more than a day
    chattering: tuple[str, ...]
    shelved: int
    out_of_service: int
    last_10_min: int  # new ones
    flood: bool  # more than ten of these, and not fewer than five since
    most_in_a_day: tuple[tuple[str, int], ...]  # which came most often in this run's last day, and how often


@dataclass(frozen=True, slots=True)
class HealthReport:
    """All rooms at one moment, published each minute and not journaled."""

    ts: int
    trust: Trust
    run: str
    uptime_s: float
    links: tuple[LinkHealth, ...]
    journal: JournalHealth | None
    uplinks: tuple[UplinkHealth, ...]
    counts: Mapping[str, int]  # the hub's own: facts, readings, events, not_stored, ...
    certificates: tuple[Certificate, ...] = ()
    alarms: AlarmLoad | None = None
    doubted: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # by device and why: what was not believed


class Correction(NamedTuple):
    """When records of `run` were really made whose clock was not trusted: at `mono_ms` + `offset_ms` (UTC ms).

    For those up to `until_mono_ms`, in milliseconds of this boot's monotonic time.
    """

    run: str
    until_mono_ms: int
    offset_ms: int


class AlarmsKnown(NamedTuple):
    """The alarms of the run before are merged: what is retained at a broker beyond those that stand is left over."""


class TimePassed(NamedTuple):
    """This wall time (UTC ms) was trusted once, so it has passed: a clock that shows less is wrong for certain."""

    ts: int


class Briefing(NamedTuple):
    """What is known already, for these uplinks alone: they have joined a gateway that runs."""

    uplinks: frozenset[str]
    notices: tuple[AlarmView | AlarmsKnown | TimePassed, ...]


class Decision(NamedTuple):
    """Everything that one fact leads to; stored whole: records and state in one transaction."""

    records: tuple[Record, ...] = ()
    state: tuple[StateChange, ...] = ()
    writes: tuple[Write | Adjust, ...] = ()
    notices: tuple[Notice, ...] = ()
    replies: tuple[tuple[Callable[[Reply], None], Reply], ...] = ()
    questions: tuple[Question, ...] = ()
    reloads: tuple[Command, ...] = ()
    reads: tuple[SoonWanted, ...] = ()

    def then(self, other: Decision) -> Decision:
        """Both, in this order; with all they lead to."""
        return Decision(
            self.records + other.records,
            self.state + other.state,
            self.writes + other.writes,
            self.notices + other.notices,
            self.replies + other.replies,
            self.questions + other.questions,
            self.reloads + other.reloads,
            self.reads + other.reads,
        )


# ---------------------------------------------------------------- between the journal and the senders


class Acked(NamedTuple):
    """An uplink has these rows: `ids` are first and last row ids of runs of rows, both included."""

    uplink: str
    lane: Lane
    ids: tuple[tuple[int, int], ...]


class BacklogWanted(NamedTuple):
    """The oldest rows of a lane with `after` < id <= `upto` that the uplink has not acknowledged, `limit` at most.

    `upto` None means all that is stored now. `answer` is called once, from the journal's thread, and must not wait.
    """

    uplink: str
    lane: Lane
    after: int
    upto: int | None
    limit: int
    answer: Callable[[Backlog], None]


class Backlog(NamedTuple):
    """The answer: rows in the order of their ids; `upto` as asked or filled in; `done`: no more up to there."""

    lane: Lane
    rows: tuple[Row, ...]
    upto: int
    done: bool


class ResendWanted(NamedTuple):
    """An uplink needs the records `first` to `last` of a run and lane once more.

    `answer` is called once, from the journal's thread, and must not wait.
    """

    uplink: str
    run: str
    lane: Lane
    first: int
    last: int
    answer: Callable[[Resend], None]


class Resend(NamedTuple):
    """The answer: how many `again` count as not acknowledged now, how many are `gone`; why none goes, in `refusal`.

    A refusal with nothing `gone` is one of now: asked later, the journal may say otherwise.
    """

    again: int
    gone: int
    refusal: str = ""


class Confirmed(NamedTuple):
    """A platform has stored records of a run and lane: `ranges` are first and last numbers, both included.

    `unknown` is called where the journal has no such run; from its thread, and must not wait.
    """

    uplink: str
    run: str
    lane: Lane
    ranges: tuple[tuple[int, int], ...]
    unknown: Callable[[], None]


ToJournal: TypeAlias = Acked | Confirmed | BacklogWanted | ResendWanted
"""What a sender tells the journal."""

# ---------------------------------------------------------------- what the gateway says about itself


@dataclass(frozen=True, slots=True)
class RuleAbout:
    """One rule in words, as `about/<device>` and `sitewarden status` show it."""

    rule: str
    point: str
    condition: str
    priority: Priority
    tell: tuple[str, ...] = ()  # who is to be told of its alarm


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the values of a point are corrected (value * scale + offset), and who says so; dates as 2027-03-31."""

    scale: float = 1.0
    offset: float = 0.0
    certificate: str = ""
    date: str = ""
    due: str = ""


@dataclass(frozen=True, slots=True)
class DeviceAbout:
    """One device, enough for a consumer to describe itself."""

    device: str
    name: str
    driver: str
    link: str
    zone: str
    points: tuple[Point, ...]
    rules: tuple[RuleAbout, ...]
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)  # by point
    derived_from: tuple[str, ...] = ()  # the devices that it is made of; then its link is ""


@dataclass(frozen=True, slots=True)
class About:
    """The gateway, enough for a consumer to describe itself. `config` is the configuration's hash."""

    site: str
    site_name: str
    gateway: str
    version: str
    config: str
    zones: tuple[str, ...]
    devices: tuple[DeviceAbout, ...]


Notice: TypeAlias = About | AlarmView | AlarmsKnown | HealthReport | Correction | TimePassed | Briefing
"""What every uplink should know now, but what is no record."""


@dataclass(frozen=True, slots=True)
class PointStatus:
    """One point now: its last good value and age, and the reason if the newest reading of it was bad."""

    device: str
    point: str
    kind: str
    unit: str
    zone: str
    value: Value | None
    age_s: float | None  # of the last good value
    quality: str  # "good", "stale", a Reason, or "waiting" before the first reading


@dataclass(frozen=True, slots=True)
class Status:
    """What `sitewarden status` and the demo's screen show."""

    about: About
    run: str
    ts: int
    trust: Trust
    uptime_s: float
    points: tuple[PointStatus, ...]
    alarms: tuple[AlarmView, ...]  # those that are not at rest
    outputs: Mapping[str, str]  # device.point -> wanted value
    health: HealthReport
