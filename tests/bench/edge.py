"""How fast a contact is: `python tests/bench/edge.py [EDGES]`.

The whole gateway in this process on gpiozero's mock pins, debounce hold 0, a subscriber in a process of its own on a
broker in another. Prints contact edge -> output switched, and contact edge -> alarm event at the subscriber.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from consumer import Consumer

from gateway.app import Gateway
from gateway.config.installed import read_config
from gateway.demo.broker import Broker
from gateway.links.gpio import mock_pin

CONFIG = """
site: {{id: bench}}
gateway: {{id: gw1}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{broker}"}}
links:
  gpio: {{type: gpio, factory: mock}}
devices:
  contact-1: {{driver: contact, link: gpio, pin: 17, kind: contact, hold: 0s, zone: hall}}
  lamp: {{driver: relay, link: gpio, pin: 22, zone: hall}}
rules:
  closed: {{point: contact-1.contact, equals: "on", priority: high, response: light, hold_chattering: false}}
responses:
  light: {{set: {{lamp: "on"}}}}
"""


def broker_process(pipe: Connection) -> None:
    broker = Broker()
    pipe.send(broker.start())
    pipe.recv()
    broker.stop()


def subscriber_process(port: int, pipe: Connection) -> None:
    """Sends the monotonic time at which each alarm event arrived; the clock is the machine's, one for all processes."""

    def arrived(event: dict[str, Any]) -> None:
        if event["event"] == "alarm":
            pipe.send(time.monotonic())

    with Consumer(port, validate=False, on_event=arrived):
        pipe.send("ready")
        threading.Event().wait()


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    edges = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    spawn = multiprocessing.get_context("spawn")
    broker_pipe, broker_end = spawn.Pipe()
    subscriber_pipe, subscriber_end = spawn.Pipe()
    broker = spawn.Process(target=broker_process, args=(broker_end,))
    broker.start()
    port = broker_pipe.recv()
    subscriber = spawn.Process(target=subscriber_process, args=(port, subscriber_end))
    subscriber.start()
    assert subscriber_pipe.recv() == "ready"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "sitewarden.yaml"
        config.write_text(CONFIG.format(broker=port))
        contact, lamp = mock_pin(17), mock_pin(22)
        contact.wire(high=True)
        gateway = Gateway(read_config(config), Path(folder) / "state")
        gateway.start()
        until = time.monotonic() + 10
        while not all(point.quality == "good" for point in gateway.status().points):
            assert time.monotonic() < until
        threading.Event().wait(2)  # until the start is over: events that were made before the connection go out
        to_output, to_subscriber = [], []
        for edge in range(edges):
            lamp.clear_states()
            edge_at = time.monotonic()
            contact.wire(high=edge % 2 == 1)
            to_subscriber.append(subscriber_pipe.recv() - edge_at)
            to_output.append(lamp.states[1].timestamp)
        gateway.stop()
    broker_pipe.send("stop")
    subscriber.terminate()
    for process in (broker, subscriber):
        process.join(10)
    for name, values in (("output switched", to_output), ("event at a subscriber", to_subscriber)):
        ms = [1000 * value for value in values]
        print(
            f"contact edge -> {name}: p50 {statistics.median(ms):.2f} ms, "
            f"p99 {percentile(ms, 0.99):.2f} ms, max {max(ms):.2f} ms (n = {len(ms)})"
        )


if __name__ == "__main__":
    main()
