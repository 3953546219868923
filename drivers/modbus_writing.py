"""How a point of a Modbus device is written, where that is not as the specification has it. Data, part of a profile.

Source: Modbus application protocol 1.1b3, sections 6.5, 6.6, 6.11 and 6.12; what devices do beside it stands in their
profiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from drivers.profile_rules import CHECKED
from gateway.driver import Doc

_ON_OF_A_COIL = 0xFF00  # section 6.5: what function 5 sends for on; 0 for off


@dataclass(frozen=True, slots=True)
class Writing:
    """By which function, and for an output by which words: `{function: 6, on: 0x0100, off: 0x0200}`."""

    __pydantic_config__ = CHECKED

    function: Annotated[
        Literal[5, 6, 15, 16] | None, Doc("Left out: 5 for a coil, 6 for a register, 16 for several")
    ] = None
    on: Annotated[int | None, Doc("The word for on; left out: 0xFF00 with function 5, else 1")] = None
    off: Annotated[int | None, Doc("The word for off; left out: 0")] = None

    def __post_init__(self) -> None:
        """Refuse words that are none, or that mean both."""
        for name, word in (("on", self.on), ("off", self.off)):
            if word is not None and not 0 <= word <= 0xFFFF:
                raise ValueError(f"{name}: a word holds 0 to 0xFFFF, not {word}")
        if (self.on is None) != (self.off is None):
            raise ValueError("on: together with off, or neither of them")
        if self.on is not None and self.on == self.off:
            raise ValueError(f"on: the same word as off, {self.on}")
        if self.on is not None and self.function == 15:
            raise ValueError("function: 15 sends single bits, where on and off are words; with them 5")

    @property
    def has_words(self) -> bool:
        """Whether on and off are words of the device's own."""
        return self.on is not None

    def word(self, *, on: bool) -> int:
        """What is sent for on, or for off."""
        if self.on is None or self.off is None:
            return (_ON_OF_A_COIL if self.function == 5 else 1) if on else 0
        return self.on if on else self.off


USUAL = Writing()
"""As the specification has it."""
