"""Devices that say frames or lines on a serial line, each described by a profile: no Python for an odd one.

    bytes -> frame (start, end or length) -> checksum -> pattern or places -> points

The profile says what the frames look like (frame_profile.py). Integrity is what it describes: where it has neither a
checksum nor a start, the first line after the link was opened, and one with a pause of over a second in it, are no
whole ones for certain, and are dropped.

Source: the profile names its own. Not known: whether a line without a checksum has lost a character on its way; a
pattern that says how many digits there are notices most of that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

from drivers.frame_cutting import Cut, blocks, lines
from drivers.frame_decode import Decode, decoder
from drivers.frame_profile import FrameProfile, octets
from gateway.driver import PROFILE, Doc, Edge, Family, Heard, Pushed, point
from gateway.model import Point, Values

_PAUSE_S = 1.0  # within a frame: after it, what comes is another


@dataclass(frozen=True, slots=True)
class SerialFramesOptions:
    """One device that has a serial line to itself."""

    profile: Annotated[
        FrameProfile, PROFILE, Doc("What its frames look like: of ours, or in profiles/frames/ beside this")
    ]
    accept_beta: Annotated[bool, Doc("true: its profile is beta, and its values were compared with the device")] = False

    def __post_init__(self) -> None:
        """Refuse a beta profile that nobody has accepted."""
        if self.profile.confidence != "high" and not self.accept_beta:
            raise ValueError(
                f"profile: the profile of {self.profile.model} is beta: its confidence is {self.profile.confidence}; "
                "compare its values with the device, then say `accept_beta: true` at this device"
            )


class SerialFrames(Pushed):
    """A device that says frames or lines on a serial line, after its profile."""

    family: ClassVar[Family] = Family.STREAM
    options: ClassVar[type[SerialFramesOptions]] = SerialFramesOptions
    every_default_s: ClassVar[float] = 10.0

    def __init__(self, options: SerialFramesOptions) -> None:
        profile = self._profile = options.profile
        self._points = tuple(point(name, it.kind) for name, it in profile.points.items())
        self._request = octets(profile.ask)
        least, tail = (0, 0) if profile.checksum is None else (profile.checksum.least, profile.checksum.tail)
        ends = (0 if it.at is None else it.at + it.place.size + tail for it in profile.points.values())
        self._least = max(len(octets(profile.frame.start)), least, *ends)
        self._notes = () if profile.confidence == "high" else (f"the profile of {profile.model} is beta",)
        self._decode: Decode | None = None
        self._heard = b""
        self._heard_at = 0.0
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

    def opened(self) -> None:
        """What was heard before does not go on."""
        self._heard, self._skipping = b"", self._may_begin_anywhere

    @property
    def _may_begin_anywhere(self) -> bool:
        """Whether a line that was heard from its middle on would look like a whole one."""
        profile = self._profile
        return not (profile.frame.start or profile.checksum or self._request)

    def hear(self, heard: Heard) -> Iterable[Values]:
        """The reading of each frame that `heard` completes."""
        if isinstance(heard.data, Edge):
            return ()
        if self._heard and heard.mono - self._heard_at > _PAUSE_S:
            self.opened()
        self._heard_at = heard.mono
        if self._decode is None:  # not before: until then it is plain data, which can be handed to another process
            self._decode = decoder(self._profile)
        cut = self._cut(self._heard + heard.data)
        self._heard, self._skipping = cut.rest, cut.skipping
        readings = (self._decode(frame) for frame in cut.frames)
        return [values for values in readings if values]

    def _cut(self, heard: bytes) -> Cut:
        frame = self._profile.frame
        if not frame.end:
            return blocks(heard, frame, self._least, self._is_whole)
        cut = lines(heard, frame, skipping=self._skipping)
        return cut._replace(frames=[it for it in cut.frames if self._is_whole(it)])

    def _is_whole(self, frame: bytes) -> bool:
        return self._profile.checksum is None or self._profile.checksum.fits(frame)
