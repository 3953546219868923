"""A whole gateway without its links, for tests: readings come in by the hub's door, as links would bring them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from daemon import write_profile

from gateway.app import Gateway
from gateway.clock import Clock
from gateway.config.installed import read_config
from gateway.model import Reading, Value
from gateway.uplink.attempts import PAUSES, Pauses
from gateway.uplink.connector import MqttWire

CONFIG = """\
site: {{id: {site}}}
gateway: {{id: {gateway}}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{broker}"{uplink}}}
links:
  none: {{type: tcp, host: 127.0.0.1, port: 1}}
devices:
{devices}
rules:
  too-high: {{kind: setting, above: {limit}, priority: high, hold_chattering: false}}
"""


def config(
    broker: int, devices: int, *, site: str = "campaign", gateway: str = "gw1", limit: float = 30_000, uplink: str = ""
) -> str:
    """`devices` of the profile `linkless`, one rule over all their points, one uplink."""
    lines = "\n".join(
        f"  device-{number:02}: {{driver: modbus, link: none, unit: {number + 1}, profile: linkless, zone: hall}}"
        for number in range(devices)
    )
    return CONFIG.format(site=site, gateway=gateway, broker=broker, devices=lines, limit=limit, uplink=uplink)


class Linkless:
    """One gateway in this process: every room but the links, on threads of its own, put together by `app`."""

    def __init__(
        self, folder: Path, text: str, registers: int, pauses: Pauses = PAUSES, clock: Clock | None = None
    ) -> None:
        folder.mkdir(exist_ok=True)
        write_profile(folder, "linkless", registers)
        (folder / "sitewarden.yaml").write_text(text)
        self.state = folder / "state"
        self.gateway = Gateway(replace(read_config(folder / "sitewarden.yaml"), links={}), self.state, clock)
        for stage in self.gateway._supervisor._stages:
            for room in stage.rooms:
                if isinstance(room, MqttWire):
                    room._pauses = pauses

    def reading(self, device: str, values: Mapping[str, Value]) -> None:
        """Tell the hub, without waiting."""
        self.gateway._hub.post(Reading(device, time.monotonic(), time.time_ns() // 1_000_000, values, {}))

    def __enter__(self) -> Self:
        self.gateway.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gateway.stop()
