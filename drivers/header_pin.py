"""The pins of the Raspberry Pi's header, as options of drivers name them. Pure."""

from __future__ import annotations


def on_header(**pins: int | None) -> None:
    """Refuse, by the name of its option, a pin that the header does not have: ValueError. None: it is left out.

    Pins 0 and 1 are refused where it is known what else is on them (gateway/config/pincheck.py).
    """
    for option, pin in pins.items():
        if pin is not None and not 0 <= pin <= 27:
            raise ValueError(f"{option}: a BCM number from 2 to 27, not {pin}")
