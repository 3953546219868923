"""Devices that say frames or lines on a serial line, each described by a profile: no Python for an odd one.

    bytes -> frame (start, end or length) -> checksum -> pattern or places -> points

The profile says what the frames look like (frame_profile.py). Invariants:
- A value comes from a frame that ended among the newest bytes. What looks like the beginning of a longer frame than
  there is holds others back for twice the time that its bytes take on the line, and half a second; they are dropped.
- Where a line has neither a checksum nor a start, the first one after the link was opened, and one with a pause of over
  a second in it, are no whole ones for certain, and are dropped.
- What is dropped is counted. Looking for frames in noise takes a bounded share of the processor's time.

Source: the profile names its own. Not known: whether a line without a checksum has lost a character on its way, or has
another in its place; a pattern that says how many there are notices the first. And whether what begins in the middle
of a frame and has a right checksum, by chance or since a sum does not tell in which order its bytes come, is one: that
ends with the next pause, or change of a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from drivers.frame_cutting import Cut, blocks, lines
from drivers.frame_decode import Decode, decoder
from drivers.frame_pattern import beginnings
from drivers.frame_profile import FrameProfile, octets
from drivers.profile_rules import refuse_unaccepted
from gateway.driver import PROFILE, Doc, Edge, Family, Heard, Pushed, point
from gateway.model import Point, Values
from gateway.wiretime import WireTime

_PAUSE_S = 1.0  # within a line: after it, what comes is another
_SLACK_S = 0.5  # for which a busy machine may leave bytes unread
_UNKNOWN_CHARACTER_S = 11 / 1200  # where nobody says how fast the line is, as behind a serial server
_MOST_WORK = 32_768.0  # bytes of checksums in vain: at once
_WORK_PER_S = 65_536.0  # and in the long run: some percent of a small machine's time


@dataclass(frozen=True, slots=True)
class SerialFramesOptions:
    """One device that has a serial line to itself."""

    profile: Annotated[
        FrameProfile, PROFILE, Doc("What its frames look like: of ours, or in profiles/frames/ beside this")
    ]
    accept_beta: Annotated[bool, Doc("true: its profile is beta, and its values were compared with the device")] = False

    def __post_init__(self) -> None:
        """Refuse a beta profile that nobody has accepted."""
        refuse_unaccepted(self.profile.doubt, accepted=self.accept_beta)


class SerialFrames(Pushed):
    """A device that says frames or lines on a serial line, after its profile."""

    family: ClassVar[Family] = Family.STREAM
    options: ClassVar[type[SerialFramesOptions]] = SerialFramesOptions
    every_default_s: ClassVar[float] = 10.0

    def __init__(self, options: SerialFramesOptions) -> None:
        profile = self._profile = options.profile
        self._points = tuple(
            point(name, it.kind, least=it.minimum, most=it.maximum) for name, it in profile.points.items()
        )
        self._request = octets(profile.ask)
        least, tail = (0, 0) if profile.checksum is None else (profile.checksum.least, profile.checksum.tail)
        ends = (0 if it.at is None else it.at + it.place.size + tail for it in profile.points.values())
        self._least = max(len(octets(profile.frame.start)), least, *ends)
        self._notes = (profile.doubt,) if profile.doubt else ()
        self._character_s = _UNKNOWN_CHARACTER_S
        self._decode: Decode | None = None
        self._heard = b""
        self._arrived: list[float] = []  # when each byte of these did
        self._heard_at = 0.0
        self._work = _MOST_WORK
        self._dropped = 0
        self._skipping = self._may_begin_anywhere

    @property
    def points(self) -> tuple[Point, ...]:
        """The points of the profile."""
        return self._points

    @property
    def claims(self) -> tuple[str, ...]:
        """The whole stream."""
        return ("the stream",)

    @property
    def notes(self) -> tuple[str, ...]:
        """That its profile is beta."""
        return self._notes

    @property
    def request(self) -> bytes:
        """What makes it speak, if it does not by itself."""
        return self._request

    @property
    def dropped(self) -> int:
        """Frames and lines that were begun, or came whole, and are none after the profile."""
        return self._dropped

    def meet(self, wire: WireTime) -> None:
        """How long a frame may take follows from the line, where that is known."""
        self._character_s = wire.character_s or _UNKNOWN_CHARACTER_S

    def opened(self) -> None:
        """What was heard before does not go on."""
        self._heard, self._arrived, self._skipping = b"", [], self._may_begin_anywhere

    @property
    def _may_begin_anywhere(self) -> bool:
        """Whether a line that was heard from its middle on would look like a whole one."""
        return not (self._profile.frame.start or self._profile.checksum)

    def hear(self, heard: Heard) -> Iterable[Values]:
        """The reading of each frame that `heard` completes."""
        if isinstance(heard.data, Edge):
            return ()
        since_s, self._heard_at = heard.mono - self._heard_at, heard.mono
        if since_s > _PAUSE_S:
            self._paused()
        self._work = min(_MOST_WORK, self._work + since_s * _WORK_PER_S)
        if self._decode is None:  # not before: until then it is plain data, which can be handed to another process
            self._decode = decoder(self._profile)
        arrived = self._arrived + [heard.mono] * len(heard.data)
        cut = self._cut(self._heard + heard.data, arrived)
        self._heard, self._skipping = cut.rest, cut.skipping
        self._arrived = arrived[len(arrived) - len(cut.rest) :]
        readings = [values for frame in cut.frames if (values := self._decode(frame))]
        self._dropped += cut.dropped + len(cut.frames) - len(readings)
        return readings

    def _paused(self) -> None:
        """What was begun is not gone on with; what comes may be its end, unless it was no beginning at all."""
        if self._may_begin_anywhere and not self._skipping:
            begins = beginnings(self._profile.pattern)
            self._skipping = any(char in begins for char in self._heard.decode("latin-1") if not char.isspace())
            self._dropped += self._skipping
        elif self._heard.strip() and octets(self._profile.frame.start) in self._heard:
            self._dropped += not self._skipping
        self._heard, self._arrived = b"", []

    def _cut(self, heard: bytes, arrived: Sequence[float]) -> Cut:
        frame = self._profile.frame
        if frame.end:
            cut = lines(heard, frame, skipping=self._skipping)
            whole = [it for it in cut.frames if self._is_whole(it)]
            return cut._replace(frames=whole, dropped=cut.dropped + len(cut.frames) - len(whole))

        def is_late(at: int, size: int) -> bool:
            return self._heard_at - arrived[at] > _SLACK_S + 2 * size * self._character_s

        return blocks(heard, frame, self._least, self._is_found, known=len(self._heard), is_late=is_late)

    def _is_found(self, frame: bytes) -> bool:
        """Whether it is whole, as long as there is time to look."""
        if len(frame) > self._work:
            return False
        is_whole = self._is_whole(frame)
        self._work -= 0 if is_whole else len(frame)
        return is_whole

    def _is_whole(self, frame: bytes) -> bool:
        return self._profile.checksum is None or self._profile.checksum.fits(frame)
