"""What one would write first, for load.py: pymodbus' asyncio client for each device, json, and paho; nothing else.

`pymodbus_loop.py [--aligned] BROKER_PORT PERIOD_S DATABASE REGISTERS PORT...`: every device is asked once a period, and
what it says is published at once, a message for each poll at QoS 1. Nothing is stored (the database stays unused),
nothing judged, nothing tried again. Devices have moments of their own, spread over the period, as loops have that were
started one by one; or, aligned, all the same one, which saves most of the wake-ups.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.client import AsyncModbusTcpClient

IS_ALIGNED = sys.argv[1] == "--aligned"
BROKER_PORT, PERIOD_S, _, REGISTERS_ASKED, *PORTS = sys.argv[2:] if IS_ALIGNED else sys.argv[1:]
REGISTERS = int(REGISTERS_ASKED)
NAMES = [f"temperature-{number}" for number in range(REGISTERS)]
UNIT = 1


async def until(tick: float) -> None:
    """Monotonic seconds, by which the event loop runs too."""
    come = asyncio.Event()
    asyncio.get_running_loop().call_at(tick, come.set)
    await come.wait()


async def serve(name: str, port: int, period_s: float, phase: float, broker: Client) -> None:
    """Ask one device for ever."""
    device = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=1, retries=0)
    assert await device.connect()
    tick = math.ceil(time.monotonic() / period_s)
    while True:
        tick += 1
        await until((tick + phase) * period_s)
        reply = await device.read_holding_registers(0, count=REGISTERS, device_id=UNIT)
        if reply.isError():
            continue
        values = {name: raw / 10 for name, raw in zip(NAMES, reply.registers, strict=True)}
        record = {"device": name, "ts": time.time_ns() // 1_000_000, "values": values}
        broker.publish("sketch/v1/a/b/telemetry", json.dumps({"records": [record]}), qos=1)


async def main() -> None:
    period_s = float(PERIOD_S)
    client = Client(CallbackAPIVersion.VERSION2, "sketch")
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", int(BROKER_PORT))
    client.loop_start()
    phases = [0.0 if IS_ALIGNED else number / len(PORTS) for number in range(len(PORTS))]
    devices = [serve(f"d{n}", int(PORTS[n]), period_s, phase, client) for n, phase in enumerate(phases)]
    await asyncio.gather(*devices)


if __name__ == "__main__":
    asyncio.run(main())
