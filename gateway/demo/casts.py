"""The sites that can be played: the distribution centre of the demo, and each example that a real site may begin with.

Pure. The examples say what a real site would have; where their times are too long for a story, a cast shortens them.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.demo.cast import BeamPair, Cast, Contact, Door, Journey, Probe, Quantity, Sensor
from gateway.demo.story import (
    STORY,
    Aim,
    Broker,
    Expected,
    Operator,
    Passage,
    Scene,
    Silence,
    Smoke,
    Story,
    Tunnel,
    operator,
)
from gateway.demo.story import Contact as Switched

CENTRE = Cast(
    example="demo.yaml",
    story=STORY,
    lines={
        "bus1": (
            Sensor("cold-1", 1, Quantity(3.2, 0.3), Quantity(84.0, 1.5, 0.7)),
            Sensor("freezer-1", 2, Quantity(-19.2, 0.3, 1.9), Quantity(61.0, 1.0, 2.5)),
            Sensor("dock-air", 3, Quantity(18.4, 0.3, 3.1), Quantity(55.0, 2.0, 4.4), "renke-rs-ws-n01"),
        )
    },
    modules={"dock-io": (True, True, False, False, False, False, False, False)},  # a door's contact is closed with it
    counters={"entrance": Door("entrance-1", 18)},
    receivers={"gps": Journey("lorry-7", 8.3)},
    contacts={"smoke-1": Contact(17), "smoke-2": Contact(27)},
    siren_pin=22,
    siren="siren",
)

_COLD_STORE = Story(
    scenes=(
        Scene(0, "A quiet day at cold store 4: two rooms, and a thermometer in the goods."),
        Scene(3, "Somebody fetches goods: the freezer's door stands open.", (Switched("freezer-door", True),)),
        Scene(5, "Its air warms up, as it does: the door explains that.", (Aim("freezer.temperature", -14.0, 4),)),
        Scene(
            14,
            "The door is closed, and the air is cold again.",
            (Switched("freezer-door", False), Aim("freezer.temperature", -19.6, 3)),
        ),
        Scene(
            18, "The compressor of the chilled room fails. A warning first ...", (Aim("chilled.temperature", 5.2, 3),)
        ),
        Scene(26, "... then the alarm; the buzzer calls.", (Aim("chilled.temperature", 7.4, 3),)),
        Scene(34, "Somebody acknowledges: the buzzer is quiet.", operator("chilled-warm", "chilled-too-warm")),
        Scene(36, "The lock's sensor falls silent. Its neighbours share its line.", (Silence("lock", True),)),
        Scene(38, "The compressor runs again.", (Aim("chilled.temperature", 2.6, 4),)),
        Scene(40, "The MQTT broker goes away for five seconds.", (Broker(True),)),
        Scene(44, "Smoke in the machine room.", (Smoke("smoke-1", True),)),
        Scene(46, "The broker is back, the sensor too.", (Broker(False), Silence("lock", False))),
        Scene(
            50,
            "It was steam. Somebody acknowledges and resets.",
            (Smoke("smoke-1", False), *operator("smoke@smoke-1.smoke")),
        ),
        Scene(52, "All is well again.", (Operator("reset", "smoke@smoke-1.smoke"),)),
    ),
    expected=(
        Expected("door-open", 5, 12),
        Expected("freezer-warm", 8, 14),
        Expected("chilled-warm", 20, 27),
        Expected("chilled-too-warm", 28, 34),
        Expected("smoke@smoke-1.smoke", 44, 46),
    ),
    ends_s=56,
)

COLD_STORE = Cast(
    example="cold-store.yaml",
    story=_COLD_STORE,
    lines={
        "bus1": (
            Sensor("chilled", 1, Quantity(2.6, 0.2), Quantity(88.0, 1.0, 0.7)),
            Sensor("freezer", 2, Quantity(-19.6, 0.2, 1.9), Quantity(70.0, 1.0, 2.5)),
            Sensor("lock", 3, Quantity(11.5, 0.2, 3.1), Quantity(58.0, 1.0, 4.4)),
        )
    },
    contacts={"smoke-1": Contact(17), "freezer-door": Contact(27)},
    siren_pin=24,
    files="kernel",
    probes={"goods": Probe("28-0316a4c1e9ff", Quantity(-18.9, 0.05))},
    quicker={
        **{("devices", name, "every"): "1s" for name in ("chilled", "freezer", "lock", "goods", "machine")},
        **{
            ("rules", name, key): "1s"
            for name in ("chilled-warm", "chilled-too-warm", "freezer-warm", "goods-warm")
            for key in ("for", "clear_for")
        },
        ("rules", "door-open", "for"): "3s",
    },
)

_TRUCK = Story(
    scenes=(
        Scene(0, "A refrigerated truck leaves its depot."),
        Scene(3, "The road is free, and it goes faster than it may.", (Aim("gps-1.speed", 28.0, 4),)),
        Scene(9, "The rear door was not locked: it opens.", (Switched("rear-door", True),)),
        Scene(12, "It gets warm in the chilled compartment.", (Aim("rear.temperature", 9.4, 4),)),
        Scene(
            16,
            "A long tunnel: no position. The old one is shown as old.",
            (Tunnel("gps-1", True), Aim("gps-1.speed", 20.0, 3)),
        ),
        Scene(18, "No mobile network in there, either: everything is kept.", (Broker(True),)),
        Scene(22, "The driver has heard the buzzer and closes the door.", (Switched("rear-door", False),)),
        Scene(24, "It gets cold again.", (Aim("rear.temperature", 4.6, 4),)),
        Scene(40, "The network is back: alarms first, then what is now, the rest beside it.", (Broker(False),)),
        Scene(50, "Daylight, and a position again.", (Tunnel("gps-1", False),)),
        Scene(54, "The truck is on its way."),
    ),
    expected=(
        Expected("too-fast", 5, 14),
        Expected("door-open", 11, 17),
        Expected("chilled-out-of-range", 14, 20),
        Expected("truck-no-fix", 40, 52),
    ),
    ends_s=57,
)

TRUCK = Cast(
    example="cold-chain-truck.yaml",
    story=_TRUCK,
    lines={
        "reefer": (
            Sensor("front", 1, Quantity(-19.5, 0.2), Quantity(72.0, 1.0, 0.7)),
            Sensor("rear", 2, Quantity(4.6, 0.2, 1.9), Quantity(81.0, 1.0, 2.5)),
        )
    },
    receivers={
        "gps": Journey("gps-1", 14.0, ((52.4606, 13.3713), (52.4606, 13.4013), (52.4806, 13.4013), (52.4806, 13.3713)))
    },
    contacts={"rear-door": Contact(5)},
    quicker={
        **{("devices", name, "every"): "1s" for name in ("front", "rear")},
        ("rules", "too-fast", "for"): "3s",
        ("rules", "door-open", "for"): "3s",
        ("rules", "chilled-out-of-range", "for"): "1s",
        ("rules", "chilled-out-of-range", "clear_for"): "1s",
        ("storage", "commit_every"): "1s",
        ("uplinks", "platform", "linger"): "1s",
    },
)

_ENTRANCE = Story(
    scenes=(
        Scene(0, "A shop opens. 150 people may be in it, by its area and its exits."),
        Scene(3, "People come in by the main entrance ...", (Aim("door-1.people", 128, 5),)),
        Scene(5, "... and by the side door, through two light beams.", (Passage("door-2", True),)),
        Scene(6, "One leaves there.", (Passage("door-2", False),)),
        Scene(12, "It gets crowded: the side door's sign makes it one-way.", (Aim("door-1.people", 150, 3),)),
        Scene(18, "It is full: the sign at the entrance asks people to wait.", (Aim("door-1.people", 178, 3),)),
        Scene(24, "Somebody leaves by the emergency exit, and lets it stand open.", (Switched("exit-1", True),)),
        Scene(28, "The MQTT broker goes away. Counting goes on.", (Broker(True),)),
        Scene(30, "The shop empties.", (Aim("door-1.people", 60, 5), Switched("exit-1", False))),
        Scene(38, "The broker is back.", (Broker(False),)),
        Scene(41, "Head office acknowledges.", operator("full", "crowded", "busy", "exit-open")),
        Scene(44, "Smoke in the lobby.", (Smoke("smoke-1", True),)),
        Scene(
            48,
            "It was steam from the mop. It is acknowledged ...",
            (Smoke("smoke-1", False), *operator("smoke@smoke-1.smoke")),
        ),
        Scene(50, "... and reset, with a reason.", (Operator("reset", "smoke@smoke-1.smoke"),)),
        Scene(52, "All is well again."),
    ),
    expected=(
        Expected("busy", 6, 12),
        Expected("crowded", 13, 19),
        Expected("full", 19, 25),
        Expected("exit-open", 25, 30),
        Expected("smoke@smoke-1.smoke", 44, 46),
    ),
    ends_s=56,
)

ENTRANCE = Cast(
    example="store-entrance.yaml",
    story=_ENTRANCE,
    counters={
        "counter": Door("door-1", 18)
    },  # whom it has counted before the gateway knew it: they are not in the shop
    contacts={"smoke-1": Contact(17), "exit-1": Contact(23)},
    beams={"door-2": BeamPair(5, 6)},
    siren_pin=25,
    quicker={
        **{
            ("rules", name, key): "1s"
            for name in ("busy", "crowded", "full", "exit-open")
            for key in ("for", "clear_for")
        },
        ("rules", "door-crowded", "for"): "5m",  # so many in so few seconds: that is the demo's doing
    },
)

SITES: Mapping[str, Cast] = {"centre": CENTRE, "cold-store": COLD_STORE, "store-entrance": ENTRANCE, "truck": TRUCK}
"""By the name that `sitewarden demo --site` takes."""
