"""The MQTT contract, version 1: topics and payloads. With commands.py the only place that knows the wire format.

- The same shapes as data: gateway/contract/*.schema.json and asyncapi.yaml.
- The version stands in every topic (`sitewarden/v1/...`). Records also carry it themselves (`"schema":1`), since
  consumers keep them apart from the topic they came by.
- A record's stored text is never parsed again: number and time are written in front of it.
- Everything is published with QoS 1. Absent is what is unknown; null stands only where a field is always there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from gateway.model import (
    About,
    AlarmLoad,
    AlarmView,
    Calibration,
    Certificate,
    DeviceAbout,
    DeviceHealth,
    HealthReport,
    JournalHealth,
    Json,
    LinkHealth,
    Record,
    Reply,
    Trust,
    UplinkHealth,
)
from gateway.notice import NOTICE
from gateway.records import encode, marks, subject

MAX_RECORDS = 100
"""Records in one message of telemetry, at most."""

MAX_BATCH_BYTES = 16_384
"""Bytes of a batch of several records, at most; one bigger record still goes alone."""

COMPRESSED = "application/gzip"
"""The content type of compressed telemetry in MQTT 5. In both versions its first bytes are 1f 8b, as in no JSON."""

RECORD_OVERHEAD = 48
"""Bytes that number, time and comma add to a record's text, at most."""

BATCH_OVERHEAD = 160
"""Bytes of a batch beside its records, at most."""


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one gateway; `root` ends without a slash."""

    root: str

    @classmethod
    def of(cls, about: About) -> Topics:
        """The topics of the gateway that `about` describes."""
        return cls(f"sitewarden/v1/{about.site}/{about.gateway}")

    @property
    def gateway(self) -> str:
        """The gateway's name, as signed commands carry it: site/gateway."""
        return "/".join(self.root.split("/")[-2:])

    @property
    def status(self) -> str:
        """Retained, and the will: whether the gateway is online, stopped or lost."""
        return f"{self.root}/status"

    @property
    def about(self) -> str:
        """Retained: the gateway's description."""
        return f"{self.root}/about"

    @property
    def telemetry(self) -> str:
        """Batches of readings."""
        return f"{self.root}/telemetry"

    @property
    def event(self) -> str:
        """One record of the event lane a message."""
        return f"{self.root}/event"

    @property
    def health(self) -> str:
        """Counters and states of every room."""
        return f"{self.root}/health"

    @property
    def command(self) -> str:
        """Incoming requests."""
        return f"{self.root}/command"

    @property
    def reply(self) -> str:
        """Answers to them."""
        return f"{self.root}/reply"

    @property
    def stored(self) -> str:
        """Incoming: what the platform has stored."""
        return f"{self.root}/stored"

    def about_device(self, device: str) -> str:
        """Retained: one device's description."""
        return f"{self.root}/about/{_level(device)}"

    def alarm(self, alarm: str) -> str:
        """Retained: one alarm's present state."""
        return f"{self.root}/alarm/{_level(alarm)}"

    @property
    def retained_filters(self) -> tuple[str, str]:
        """What to subscribe to in order to find retained topics of devices and alarms that are gone."""
        return f"{self.root}/alarm/+", f"{self.root}/about/+"

    def alarm_of(self, topic: str) -> str | None:
        """The alarm whose state this topic holds, or None."""
        return _below(f"{self.root}/alarm/", topic)

    def device_of(self, topic: str) -> str | None:
        """The device that this topic describes, or None."""
        return _below(f"{self.root}/about/", topic)


def _level(name: str) -> str:
    if not name or set(name) & set("/+#\0"):
        raise ValueError(f"{name!r} cannot be one level of a topic")
    return name


def _below(prefix: str, topic: str) -> str | None:
    rest = topic.removeprefix(prefix)
    return rest if rest != topic and rest and "/" not in rest else None


def _bytes(text: str) -> bytes:
    """The text in UTF-8; half a surrogate pair becomes a question mark rather than an error."""
    return text.encode("utf-8", "replace")


def status(state: str, run: str, since: int, version: str) -> bytes:
    """The payload of `status`: `state` is online, stopped or lost, `since` UTC ms of the connection or of the stop."""
    return _bytes(encode({"state": state, "run": run, "since": since, "version": version}))


def telemetry(run: str, trust: Trust, hist: bool, records: Iterable[Record]) -> bytes:
    """A batch of readings of one run and one trust; `hist` marks what was read back from the journal."""
    lines = ",".join([f'{{"seq":{record.seq},"ts":{record.ts},{record.text[1:]}' for record in records])
    return _bytes(f'{{"schema":1,"run":"{run}","tq":"{trust}","hist":{_bool(hist)},"records":[{lines}]}}')


def event(run: str, record: Record, hist: bool) -> bytes:
    """One event."""
    head = f'{{"schema":1,"run":"{run}","tq":"{record.trust}","hist":{_bool(hist)}'
    return _bytes(f'{head},"seq":{record.seq},"ts":{record.ts},{record.text[1:]}')


def _bool(value: bool) -> str:
    return "true" if value else "false"


def alarm(view: AlarmView) -> bytes:
    """The present state of an alarm; empty, which removes the retained message, when it is at rest."""
    if view.at_rest:
        return b""
    fields: dict[str, Json] = {
        "alarm": view.alarm,
        "state": view.state,
        "priority": view.priority,
        "since": view.since,
        "run": view.run,
        "seq": view.seq,
        **subject(view),
        "text": view.text,
        "say": view.say,
    }
    if view.value is not None:
        fields["value"] = view.value
    return _bytes(encode(fields | marks(view)))


def reply(answer: Reply) -> bytes:
    """The answer to a command."""
    fields: dict[str, Json] = {"id": answer.id, "result": answer.result, "detail": answer.detail}
    if answer.again is not None and answer.gone is not None:
        fields |= {"again": answer.again, "gone": answer.gone}
    if answer.reading is not None:
        fields |= {"ts": answer.reading.ts, "values": dict(answer.reading.values)}
        fields |= {"bad": dict(answer.reading.bad)} if answer.reading.bad else {}
    return _bytes(encode(fields))


def about(gateway: About, uplink: str) -> bytes:
    """The gateway as it describes itself over `uplink`."""
    fields: dict[str, Json] = {
        "site": gateway.site,
        "site_name": gateway.site_name,
        "gateway": gateway.gateway,
        "version": gateway.version,
        "config": gateway.config,
        "uplink": uplink,
        "zones": gateway.zones,
        "devices": [device.device for device in gateway.devices],
        "notice": NOTICE,
    }
    return _bytes(encode(fields))


def about_device(device: DeviceAbout) -> bytes:
    """One device: its points with kind, form, unit and calibration, and the rules on it."""
    points: list[Json] = [
        {
            "point": p.name,
            "kind": p.kind,
            "form": p.form,
            "unit": p.unit,
            "writable": p.writable,
            **_calibration(device.calibrations.get(p.name)),
        }
        for p in device.points
    ]
    rules: list[Json] = [
        {
            "rule": r.rule,
            "point": r.point,
            "condition": r.condition,
            "priority": r.priority,
            **({"tell": list(r.tell)} if r.tell else {}),
        }
        for r in device.rules
    ]
    fields: dict[str, Json] = {
        "device": device.device,
        "name": device.name,
        "driver": device.driver,
        **({"derived_from": list(device.derived_from)} if device.derived_from else {"link": device.link}),
        "zone": device.zone,
        "points": points,
        "rules": rules,
    }
    return _bytes(encode(fields))


def _calibration(calibration: Calibration | None) -> dict[str, Json]:
    if calibration is None:
        return {}
    told = {key: value for key, value in asdict(calibration).items() if value != ""}
    return {"calibration": told}


def health(report: HealthReport) -> bytes:
    """Counters and states of every room at one moment."""
    fields: dict[str, Json] = {
        "ts": report.ts,
        "tq": report.trust,
        "run": report.run,
        "uptime_s": round(report.uptime_s, 3),
        "links": [_link(link) for link in report.links],
        "journal": None if report.journal is None else _journal(report.journal),
        "uplinks": [_uplink(uplink) for uplink in report.uplinks],
        "counts": dict(report.counts),
        "certificates": [_certificate(certificate) for certificate in report.certificates],
    }
    if report.alarms is not None:
        fields["alarms"] = _alarm_load(report.alarms)
    if report.doubted:
        fields["doubted"] = {device: dict(each) for device, each in report.doubted.items()}
    return _bytes(encode(fields))


def _alarm_load(load: AlarmLoad) -> Json:
    return {
        "active": load.active,
        "unacknowledged": load.unacknowledged,
        "stale": list(load.stale),
        "chattering": list(load.chattering),
        "shelved": load.shelved,
        "out_of_service": load.out_of_service,
        "last_10_min": load.last_10_min,
        "flood": load.flood,
        "most_in_a_day": dict(load.most_in_a_day),
    }


def _certificate(certificate: Certificate) -> Json:
    return {
        "uplink": certificate.uplink,
        "which": certificate.which,
        "name": certificate.name,
        "until": certificate.until,
    }


def _link(link: LinkHealth) -> Json:
    fields: dict[str, Json] = {
        "link": link.link,
        "up": link.up,
        "opens": link.opens,
        "late": link.late,
        "held": link.held,
        "noise_bytes": link.noise_bytes,
        "devices": [_device(device) for device in link.devices],
    }
    if len(link.devices) > 1:  # those of the only one are the link's: at metered sites each byte of this counts
        fields |= {"requests": link.requests, "failures": dict(link.failures), **_responses(link)}
    if link.load is not None:
        fields["load"] = round(link.load, 3)
    return fields


def _responses(of: LinkHealth | DeviceHealth) -> dict[str, Json]:
    if of.response_p50_ms is None or of.response_p95_ms is None:
        return {}
    return {"response_p50_ms": round(of.response_p50_ms, 1), "response_p95_ms": round(of.response_p95_ms, 1)}


def _device(device: DeviceHealth) -> Json:
    fields: dict[str, Json] = {
        "device": device.device,
        "state": device.state,
        "polls": device.polls,
        "requests": device.requests,
        "failures": dict(device.failures),
        "every_s": device.every_s,
        **_responses(device),
    }
    if device.interval_s is not None:
        fields["interval_s"] = round(device.interval_s, 3)
    if device.response_ms is not None:
        fields["response_ms"] = round(device.response_ms, 1)
    return fields


def _journal(journal: JournalHealth) -> Json:
    return {
        "state": journal.state,
        "rows": journal.rows,
        "bytes": journal.bytes,
        "waiting": journal.waiting,
        "commits": journal.commits,
        "backlog": dict(journal.backlog),
        "dropped": journal.dropped,
        "chain": {"length": journal.chain_length, "head": journal.chain_head},
    }


def _uplink(uplink: UplinkHealth) -> Json:
    fields: dict[str, Json] = {
        "uplink": uplink.uplink,
        "state": uplink.state,
        "version": uplink.version,
        "in_flight": uplink.in_flight,
        "sent": uplink.sent,
        "acked": uplink.acked,
    }
    if uplink.last_ack is not None:
        fields["last_ack"] = uplink.last_ack
    if uplink.dropped_commands:
        fields["dropped_commands"] = uplink.dropped_commands
    if uplink.unconfirmed is not None:
        fields["unconfirmed"] = uplink.unconfirmed
        fields["bad_confirmations"] = uplink.bad_confirmations
    if uplink.url:
        fields["url"] = uplink.url
    return fields
