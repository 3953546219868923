"""A Modbus relay board at the end of a pseudo-terminal, with a memory: what was written is what it reads back."""

from __future__ import annotations

from pathlib import Path

from modbus_responder import RtuDevices, rtu

PROFILE = """\
model: Relay board
maker: tests
sources: [made up]
confidence: high
points:
  level: {kind: setting, table: holding, address: 0, type: uint16}
  siren: {kind: output, table: coil, address: 1, type: bool, writable: true}
  lamp: {kind: output, table: coil, address: 2, type: bool, writable: true}
"""
COILS = {"siren": 1, "lamp": 2}


class CoilBoard(RtuDevices):
    """Unit 1. `stuck` coils stay as they are, whatever is written; `level` is its one holding register."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.on: dict[int, bool] = {}
        self.stuck: set[int] = set()
        self.level = 0

    def is_on(self, coil: str) -> bool:
        return self.on.get(COILS[coil], False)

    def reply(self, request: bytes) -> tuple[int, bytes]:
        unit, right = super().reply(request)
        function, address, word = request[1], int.from_bytes(request[2:4]), int.from_bytes(request[4:6])
        if function == 5:
            if address not in self.stuck:
                self.on[address] = word == 0xFF00
            return unit, right
        if function == 1:
            bits = sum(self.on.get(address + place, False) << place for place in range(word))
            packed = bits.to_bytes((word + 7) // 8, "little")
            return unit, rtu(unit, bytes((1, len(packed))) + packed)
        if function == 3:
            return unit, rtu(unit, bytes((3, 2 * word)) + self.level.to_bytes(2) * word)
        return unit, right


def write_profile(folder: Path) -> None:
    """The board's profile, beside a configuration in this folder."""
    (folder / "profiles").mkdir(exist_ok=True)
    (folder / "profiles" / "board.yaml").write_text(PROFILE)
