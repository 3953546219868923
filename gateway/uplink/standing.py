"""How one uplink stands, and what hub and log are told of it: up, down, refused, not confirmed. Each reason once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from gateway.clock import Clock
from gateway.model import Fact, Lane, UplinkDown, UplinkHealth, UplinkUp
from gateway.uplink.outbox import Refused
from gateway.uplink.refusals import FOR_GOOD
from gateway.uplink.requests import Requests
from gateway.uplink.unconfirmed import Unconfirmed
from gateway.uplink.window import Message
from gateway.uplink.wire import Down, NotSubscribed, Up

log = logging.getLogger(__name__)

HEALTH_EVERY_S = 1.0
SILENT_S = 60.0
"""Seconds that a platform may confirm nothing, at least, before it is said; longer where `confirm_within` is."""

NO_SUBSCRIBER = 0x10
"""The reason code of a PUBACK for what nobody is subscribed to. Source: MQTT 5.0, 3.4.2.1."""

_FOR_NOBODY = (
    "uplink %s: nobody has subscribed to %s: the broker acknowledges it and throws it away. A platform needs a "
    "persistent session there; what it missed it can ask for (resend)"
)
_FOR_SOMEBODY = "uplink %s: somebody has subscribed to %s now"
_NOT_CONFIRMED = (
    "With acknowledged_by: platform it must publish to the topic `stored` what it has stored; what it does not confirm "
    "goes again, and telemetry waits while too much of it is under way"
)


class Standing:
    """Of one uplink; used on its sender's thread alone."""

    def __init__(self, uplink: str, clock: Clock, tell_hub: Callable[[Fact], None]) -> None:
        self._uplink = uplink
        self._clock = clock
        self._tell_hub = tell_hub
        self._up: Up | None = None
        self._down = "not connected yet"
        self._told: set[str] = set()
        self._for_nobody: set[Lane] = set()
        self._complaints: set[tuple[Lane | None, int]] = set()
        self._refusal = ""
        self._no_expiry = False
        self._sent = self._acked = 0
        self._last_ack: int | None = None
        self._health_at = 0.0
        self._up_at = 0.0
        self._silent_since: float | None = None

    # ------------------------------------------------------------ the connection

    def up(self, up: Up) -> None:
        """A connection begins."""
        log.info("uplink %s: connected to %s, MQTT %s", self._uplink, up.url, up.version)
        self._up = up
        self._up_at = self._clock.mono()
        self._told.clear()
        self._tell_hub(UplinkUp(self._uplink, up.version, up.url))

    def no_expiry(self) -> None:
        """The broker speaks 3.1.1, which has no message expiry; said once."""
        if not self._no_expiry:
            self._no_expiry = True
            log.warning("uplink %s: expire_live does nothing here: the broker speaks MQTT 3.1.1", self._uplink)

    def lost(self) -> None:
        """The connection has ended; why is said by `down`."""
        self._up = None

    def down(self, down: Down, stopping: bool) -> bool:
        """There is no connection, for this reason; whether that is news. Nobody is told while we are `stopping`."""
        self._down = down.what
        if down.what in self._told or stopping:
            return False
        self._told.add(down.what)
        log.warning("uplink %s: %s%s", self._uplink, down.what, f". {down.hint}" if down.hint else "")
        self._tell_hub(UplinkDown(self._uplink, down.what, down.hint))
        return True

    def not_subscribed(self, refused: NotSubscribed) -> None:
        """The broker does not let us hear something."""
        log.warning(
            "uplink %s: the broker refused the subscription to %s: %s. Check its access list",
            self._uplink,
            ", ".join(refused.filters),
            refused.reason,
        )

    # ------------------------------------------------------------ what is sent

    def sent(self, message: Message) -> None:
        """A message is on its way."""
        self._sent += len(message.rows)

    def accepted(self, message: Message, code: int) -> None:
        """The broker took a message; for nobody, by this reason code, is said once until somebody subscribes."""
        if message.lane is not None and (code == NO_SUBSCRIBER) is not (message.lane in self._for_nobody):
            self._for_nobody ^= {message.lane}
            level, told = (logging.WARNING, _FOR_NOBODY) if code == NO_SUBSCRIBER else (logging.INFO, _FOR_SOMEBODY)
            log.log(level, told, self._uplink, message.publication.topic)
        self._refusal = ""
        self._complaints -= {complaint for complaint in self._complaints if complaint[0] is message.lane}
        self._last_ack = self._clock.now().ts

    def acknowledged(self, records: int) -> None:
        """So many records more have arrived for good."""
        self._acked += records

    def refused(self, refused: Refused, reason: str) -> None:
        """The broker did not take a message, or would not; said once for each lane and code."""
        lane = refused.message.lane
        self._refusal = f"the broker refuses messages: {reason}"
        if (lane, refused.code) in self._complaints:
            return
        self._complaints.add((lane, refused.code))
        log.error(
            "uplink %s: the broker refuses what is published to %s: %s. %s; it is kept, and tried again",
            self._uplink,
            refused.message.publication.topic,
            reason,
            FOR_GOOD.get(refused.code, "It may be able to take it later"),
        )

    # ------------------------------------------------------------ health

    def is_due(self, now: float) -> bool:
        """Whether the hub's picture of this uplink is old."""
        return now >= self._health_at + HEALTH_EVERY_S

    def tell_health(self, now: float, in_flight: int, requests: Requests, unconfirmed: Unconfirmed | None) -> None:
        """Tell the hub how things stand."""
        self._health_at = now
        silence = self._silence(now, unconfirmed)
        state = self._down if self._up is None else self._refusal or silence or "online"
        version, url = (self._up.version, self._up.url) if self._up is not None else ("", "")
        self._tell_hub(
            UplinkHealth(
                self._uplink,
                state,
                version,
                in_flight,
                self._sent,
                self._acked,
                self._last_ack,
                requests.dropped,
                None if unconfirmed is None else len(unconfirmed),
                requests.bad_confirmations,
                url,
                tuple(sorted(self._refused_for_good())),
            )
        )

    def _refused_for_good(self) -> Iterator[str]:
        for lane, code in self._complaints:
            if lane is not None and code in FOR_GOOD:
                yield f"{lane} ({FOR_GOOD[code]})"

    def _silence(self, now: float, unconfirmed: Unconfirmed | None) -> str:
        """What to say of a platform that confirms nothing of what it was sent; "" while it does, or has still time."""
        if unconfirmed is None or self._up is None:
            return ""
        since = unconfirmed.unheard_since
        since = None if since is None else max(since, self._up_at)
        if since is None or now < since + max(SILENT_S, unconfirmed.within_s):
            self._heard_again(now, since)
            return ""
        waits = "" if unconfirmed.has_room(Lane.TELEMETRY, hist=False) else "; telemetry waits"
        told = f"the platform has confirmed nothing for {(now - since) / 60:.0f} min{waits}"
        if self._silent_since is None:
            self._silent_since = since
            log.warning("uplink %s: %s. %s", self._uplink, told, _NOT_CONFIRMED)
        return told

    def _heard_again(self, now: float, since: float | None) -> None:
        """Said once after a silence; a new connection gives the platform new time, and is no sign of it."""
        if self._silent_since is not None and since is None:
            silent_min = (now - self._silent_since) / 60
            self._silent_since = None
            log.info("uplink %s: the platform confirms again, after %.0f min", self._uplink, silent_min)
