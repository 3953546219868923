"""The closed vocabulary: units, the forms that a point can take, and the kinds of points with their form and unit."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Form(StrEnum):
    """How a point behaves over time."""

    GAUGE = "gauge"  # a quantity that goes up and down
    COUNTER = "counter"  # a total that only grows, until it wraps or the device restarts
    STATE = "state"  # one of a few words or on/off
    TEXT = "text"  # a text that the device holds: a name, an address
    POSITION = "position"  # latitude and longitude together, degrees WGS 84


class Kind(NamedTuple):
    """What a point measures: its form and the unit its values are in ("" where there is none)."""

    form: Form
    unit: str


KINDS: dict[str, Kind] = {
    "temperature": Kind(Form.GAUGE, "°C"),
    "humidity": Kind(Form.GAUGE, "%RH"),
    "dew_point": Kind(Form.GAUGE, "°C"),
    "absolute_humidity": Kind(Form.GAUGE, "g/m³"),
    "temperature_difference": Kind(Form.GAUGE, "K"),  # as of a surface from the dew point
    "temperature_setpoint": Kind(Form.GAUGE, "°C"),  # what a controller aims at: no measurement
    "device_temperature": Kind(Form.GAUGE, "°C"),  # of the electronics, not of the place
    "pressure": Kind(Form.GAUGE, "hPa"),
    "concentration": Kind(Form.GAUGE, "ppm"),
    "particles": Kind(Form.GAUGE, "µg/m³"),  # dust in the air, up to a size that the point's name says
    "mass": Kind(Form.GAUGE, "kg"),
    "illuminance": Kind(Form.GAUGE, "lx"),
    "voltage": Kind(Form.GAUGE, "V"),
    "current": Kind(Form.GAUGE, "A"),
    "power": Kind(Form.GAUGE, "W"),
    "frequency": Kind(Form.GAUGE, "Hz"),
    "power_factor": Kind(Form.GAUGE, "1"),
    "energy": Kind(Form.COUNTER, "kWh"),
    "resistance": Kind(Form.GAUGE, "ohm"),
    "level": Kind(Form.GAUGE, "%"),
    "signal": Kind(Form.GAUGE, "dBm"),  # how strong a radio is received
    "uptime": Kind(Form.GAUGE, "s"),  # since the device was switched on
    "people": Kind(Form.GAUGE, "people"),  # how many are inside
    "people_in": Kind(Form.COUNTER, "people"),
    "people_out": Kind(Form.COUNTER, "people"),
    "passages_in": Kind(Form.COUNTER, "people"),  # since the gateway was started
    "passages_out": Kind(Form.COUNTER, "people"),
    "entries": Kind(Form.COUNTER, "people"),  # a total over restarts of device and gateway
    "exits": Kind(Form.COUNTER, "people"),
    "people_flow": Kind(Form.GAUGE, "people/min"),  # in the last minute
    "occupancy": Kind(Form.GAUGE, "people"),  # in a zone, from all of its doors
    "passed_today": Kind(Form.GAUGE, "people"),  # one way through all doors of a zone
    "miscounted": Kind(Form.GAUGE, "people"),  # who left without having come, as far as was noticed
    "capacity": Kind(Form.GAUGE, "people"),  # how many it may hold
    "fullness": Kind(Form.GAUGE, "%"),  # of that
    "crowding": Kind(Form.GAUGE, "%"),  # of a door: of what it lets through
    "pulses": Kind(Form.COUNTER, "pulses"),
    "pulse_rate": Kind(Form.GAUGE, "pulses/min"),
    "volume": Kind(Form.COUNTER, "L"),
    "flow": Kind(Form.GAUGE, "L/min"),
    "smoke": Kind(Form.STATE, ""),  # what a detector says, or what a person has said of it: see WORDS
    "fire": Kind(Form.STATE, ""),  # what the smoke detectors of a zone say together
    "door": Kind(Form.STATE, ""),  # "closed" or "open"
    "openings": Kind(Form.COUNTER, "openings"),  # of a door, ever
    "open_time": Kind(Form.COUNTER, "s"),  # of a door, in all
    "open_for": Kind(Form.GAUGE, "s"),  # of a door, since it was opened
    "contact": Kind(Form.STATE, ""),  # "off" or "on"
    "output": Kind(Form.STATE, ""),  # "off" or "on": a siren, lamp, relay
    "status": Kind(Form.STATE, ""),  # "off" or "on": what a device says of itself, as that it defrosts
    "fault": Kind(Form.STATE, ""),  # "normal" or "fault": what a device says is wrong, as a broken probe
    "text": Kind(Form.TEXT, ""),
    "position": Kind(Form.POSITION, "°"),
    "speed": Kind(Form.GAUGE, "m/s"),
    "motion": Kind(Form.STATE, ""),  # of a vehicle: "parked", "moving" or "stopped"
    "distance": Kind(Form.GAUGE, "m"),
    "odometer": Kind(Form.COUNTER, "m"),
    "trips": Kind(Form.COUNTER, "trips"),
    "course": Kind(Form.GAUGE, "°"),
    "altitude": Kind(Form.GAUGE, "m"),
    "satellites": Kind(Form.GAUGE, "satellites"),
    "hdop": Kind(Form.GAUGE, "1"),
    "fix": Kind(Form.STATE, ""),  # of a receiver of positions: what its position rests on
    "time": Kind(Form.GAUGE, "ms"),  # UTC since 1970, of a source of time
    "setting": Kind(Form.GAUGE, "1"),  # a configuration register of the device itself
}

SAFETY_KINDS = frozenset({"smoke", "fire", "door", "contact", "output"})
"""Kinds whose readings the hub takes first and whose polls are never held back."""

STEADY_KINDS = frozenset({"openings", "open_time", "open_for", "pulse_rate", "volume", "flow"})
"""Numbers that stay as they are until something happens: recorded when they change, as a state is."""

METER_KINDS = frozenset(
    {"voltage", "current", "power", "frequency", "energy", "pulses", "pulse_rate", "volume", "flow", "setting"}
)
"""Kinds that tell of consumption and equipment: a bus that is too busy reads them after all others."""

STATE_WORDS: dict[str, tuple[str, ...]] = {
    "smoke": ("normal", "alarm"),
    "door": ("closed", "open"),
    "contact": ("off", "on"),
    "output": ("off", "on"),
    "status": ("off", "on"),
    "fault": ("normal", "fault"),
    "motion": ("parked", "moving", "stopped"),
    "fix": ("none", "2d", "3d", "estimated", "manual", "simulated"),
}
"""The words of each state kind. The first two are those of a bit: at rest, active."""

WORDS: dict[str, tuple[str, ...]] = {
    **STATE_WORDS,
    "smoke": ("normal", "alarm", "fault", "test", "disabled"),
    "fire": ("normal", "prealarm", "alarm", "fault", "test", "disabled"),
}
"""All the words of each state kind: those of a contact, and what else a device or a person says."""

FIRE_KINDS = frozenset({"smoke", "fire"})
"""Kinds whose alarms are never shelved, and are reset with a reason alone, when their detectors are at rest."""
