"""Whether the pins of the devices are there, are nobody else's, and have no other work.

Source of the pins' other work: the pinout of the 40-pin header in Raspberry Pi's documentation (BCM numbers).
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.draft import Draft
from gateway.config.problems import Where
from gateway.config.schema import GpioLink, SerialLink
from gateway.driver import PinUse

RESERVED = frozenset({0, 1})
"""Where the machine looks for the memory chip of an extension board (ID EEPROM of a HAT) when it starts."""

UART_PINS = frozenset({14, 15})
UART_PORTS = frozenset({"/dev/serial0", "/dev/ttyAMA0", "/dev/ttyS0"})

ONEWIRE_PIN, ONEWIRE_DRIVERS = 4, frozenset({"ds18b20"})
"""Where the kernel's 1-wire bus is, unless its overlay (w1-gpio) is told another pin."""


def check_pins(draft: Draft) -> None:
    """Note every pin that cannot be used as the draft says, or that something else in it may use."""
    owners: dict[int, str] = {}
    works = dict(_other_works(draft))
    for device, use in _uses(draft):
        pin = use.pin
        where = _where(draft, device, pin)
        owner = owners.setdefault(pin, device)
        if use.spi != _is_on_spi(draft, owner, pin):
            line = draft.tree.key_place(("devices", owner))
            whose = (
                f"a wire of the SPI bus, which {owner} uses" if not use.spi else f"{owner}'s, and a wire of the SPI bus"
            )
            draft.tree.blame(where, f"pin {pin} is {whose} ({line}); give the contact or output another pin")
        elif pin in RESERVED:
            draft.tree.blame(where, "pins 0 and 1 are for the memory chip of extension boards; use one from 2 to 27")
        elif draft.devices[owner].link != draft.devices[device].link:
            line = draft.tree.key_place(("devices", owner))
            draft.tree.blame(where, f"pin {pin} is {owner}'s already, on another link ({line}); a header has it once")
        elif pin in works:
            draft.tree.note_key(where, f"pin {pin} is {works[pin]}: only one of them works; use another")


def _other_works(draft: Draft) -> Iterator[tuple[int, str]]:
    """What pins may be used for besides, as far as the draft uses that."""
    for name, part in draft.links.items():
        if isinstance(part, SerialLink) and part.enabled and part.port in UART_PORTS:
            yield from ((pin, f"a wire of {part.port}, which link {name} uses") for pin in UART_PINS)
    for name, device in draft.devices.items():
        if device.driver in ONEWIRE_DRIVERS and not draft.is_off(name):
            yield ONEWIRE_PIN, f"the 1-wire bus of {name}, unless its overlay names another pin"


def _is_on_spi(draft: Draft, device: str, pin: int) -> bool:
    return any(use.spi for use in draft.devices[device].built.pins if use.pin == pin)


def _uses(draft: Draft) -> Iterator[tuple[str, PinUse]]:
    """The pins of every device that is in use, in the order of the file."""
    for name, device in draft.devices.items():
        if not draft.is_off(name) and isinstance(draft.links.get(device.link), GpioLink):
            yield from ((name, use) for use in device.built.pins)


def _where(draft: Draft, device: str, pin: int) -> Where:
    """The option that says this pin."""
    options = draft.tree.section("devices", device)
    option = next((key for key, value in options.items() if value == pin and type(value) is int), None)
    return ("devices", device) if option is None else ("devices", device, option)
