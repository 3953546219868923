"""Every payload that is built anywhere in the suite is held against its schema.

Where a payload is built, not where it arrives: so no test can forget it. Tests build a hundred thousand of them; what
differs from one seen before in numbers and times alone is not looked at again.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from gateway.model import Record
from gateway.uplink import contract

FOLDER = Path(contract.__file__).parent.parent / "contract"
NUMBER = re.compile(r":-?[0-9][0-9.]*(?=[,}])")
BUILDERS = ("status", "telemetry", "event", "alarm", "reply", "about", "about_device", "health")


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((FOLDER / f"{name.replace('_', '-')}.schema.json").read_text()))


def _shape(name: str, text: str) -> str:
    """The text of a reading without its numbers; a position's stay, since they have limits."""
    return NUMBER.sub(":0", text) if name == "telemetry" else text


class Payloads:
    """What was built and breaks the contract, in words."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self._validators = {name: validator(name) for name in BUILDERS}
        self._seen: set[tuple[object, ...]] = set()

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        for name in BUILDERS:
            patch.setattr(contract, name, self._watched(name, getattr(contract, name)))

    def _watched(self, name: str, build: Callable[..., bytes]) -> Callable[..., bytes]:
        signature = inspect.signature(build)

        @functools.wraps(build)
        def watched(*args: object, **options: object) -> bytes:
            given = signature.bind(*args, **options).arguments
            if isinstance(given.get("records"), map | filter) or inspect.isgenerator(given.get("records")):
                given["records"] = list(given["records"])
            payload = build(**given)
            if not self._known(name, given):
                self.look(name, payload)
            return payload

        return watched

    def _known(self, name: str, given: dict[str, object]) -> bool:
        """Whether this differs from what was seen in numbers and times alone."""
        records = given.get("records") or [given.get("record")]
        if name not in {"telemetry", "event"} or not isinstance(records, list):
            return False
        if not all(isinstance(record, Record) and record.seq >= 1 and record.ts >= 0 for record in records):
            return False
        if len(records) > contract.MAX_RECORDS:
            return False
        envelope = (name, given["run"], given.get("trust"), given["hist"])
        shapes = {(name, _shape(name, record.text), record.trust) for record in records} | {envelope}
        fresh = shapes - self._seen
        self._seen |= fresh
        return not fresh

    def look(self, name: str, payload: bytes) -> None:
        if payload or name != "alarm":
            try:
                parsed = json.loads(payload)
            except ValueError as error:
                self.wrong.append(f"{name}: {error}: {payload[:200]!r}")
            else:
                errors = self._validators[name].iter_errors(parsed)
                self.wrong += [f"{name}: {error.message}: {payload[:200]!r}" for error in errors]
