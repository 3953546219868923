"""What raw registers may mean: every reading of each, and which of them are believable. Pure.

The rules are obvious ones, ours, and leave out what hardly any sensor says: a float that is tiny, huge or no number, a
32-bit integer beyond ten million, a decimal reading that says the same as the plain one. They judge form, not truth.
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, get_args

from drivers.modbus_decode import decoder
from drivers.modbus_point import Order, RegisterPoint, TypeName
from gateway.model import Bad

ORDERS: tuple[Order, ...] = get_args(Order)
_LEAST_FLOAT, _MOST_FLOAT = 1e-3, 1e7
_MOST_INT = 10_000_000
_OFFSET = range(10_001, 15_000)  # 0 to -500.0 in tenths
_TEXT = frozenset((string.ascii_letters + string.digits + " -_.,:/+#").encode())
_LEAST_TEXT = 5  # characters in a row, before registers pass for text and for nothing else


class Decoding(NamedTuple):
    """One reading of the registers from `address` on; `order` only where it takes more than one."""

    address: int
    type: TypeName
    order: Order | None
    value: float | str
    believable: bool

    def __str__(self) -> str:
        """As a table shows it: `CDAB 230.2`, or `int16 -35`."""
        shown = self.value if isinstance(self.value, str) else f"{self.value:.7g}"
        return f"{self.order or self.type} {shown}"


def decodings(raw: Mapping[int, int]) -> Iterator[Decoding]:
    """Every reading of these registers (address -> 0 to 65535), in the order of their addresses."""
    texts = dict(_texts(raw))
    spelled = {it for first, text in texts.items() for it in range(first, first + (len(text) + 1) // 2)}
    for address in sorted(raw):
        if address in texts:
            yield Decoding(address, "ascii", None, texts[address], believable=True)
        for it in _numbers(raw, address):
            yield it._replace(believable=it.believable and address not in spelled)


def _numbers(raw: Mapping[int, int], address: int) -> Iterator[Decoding]:
    yield from _single(address, raw[address])
    if address + 1 in raw:
        yield from _double(address, (raw[address], raw[address + 1]))


def _single(address: int, word: int) -> Iterator[Decoding]:
    """The readings of one register; those that say what uint16 says are not believable by themselves."""
    believed: dict[TypeName, bool] = {
        "uint16": True,
        "int16": word >= 0x8000,
        "bcd16": word > 9,
        "offset10000": word in _OFFSET,
        "sign_magnitude16": word >= 0x8000 and word & 0x7FFF < 0x4000,
    }
    for kind, believable in believed.items():
        value = _value(kind, None, (word,))
        if value is not None:
            yield Decoding(address, kind, None, value, believable)


def _double(address: int, words: tuple[int, int]) -> Iterator[Decoding]:
    """The readings of two registers in a row, in each order of their bytes."""
    for order in ORDERS:
        for kind in ("float32", "uint32", "int32"):
            value = _value(kind, order, words)
            if value is not None:
                yield Decoding(address, kind, order, value, any(words) and _is_believable(kind, value))


def _is_believable(kind: TypeName, value: float) -> bool:
    match kind:
        case "float32":
            return value == 0 or _LEAST_FLOAT <= abs(value) <= _MOST_FLOAT
        case "int32":
            return -_MOST_INT <= value < 0  # else it is the same as uint32
    return value <= _MOST_INT


def _value(kind: TypeName, order: Order | None, words: Sequence[int]) -> float | None:
    point = RegisterPoint(kind="setting", table="holding", address=0, type=kind, order=order or "ABCD")
    value = decoder(point)(words, 0)
    if isinstance(value, Bad) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _texts(raw: Mapping[int, int]) -> Iterator[tuple[int, str]]:
    """Texts of several characters, each at the register where it begins."""
    run: list[int] = []
    for address in [*sorted(raw), None]:
        follows = address is not None and (not run or address == run[-1] + 1)
        if address is not None and follows and _is_text(raw[address]):
            run.append(address)
            continue
        text = b"".join(raw[it].to_bytes(2) for it in run).decode("ascii").rstrip()
        if len(text) >= _LEAST_TEXT:
            yield run[0], text
        run = [address] if address is not None and _is_text(raw[address]) else []


def _is_text(word: int) -> bool:
    return _TEXT.issuperset(word.to_bytes(2))
