"""The registry of drivers: one line per driver; others register through the entry-point group `sitewarden.drivers`.

Invariants: a driver's module is imported when it is asked for and not before; a package of others can add drivers and
replace none of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.driver import Driver

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "sitewarden.drivers"

OURS: Final[Mapping[str, str]] = {
    "beam_pair": "drivers.beam_pair:BeamPair",
    "changeover": "drivers.changeover:Changeover",
    "climate": "drivers.climate:ClimateOf",
    "contact": "drivers.contact:Contact",
    "door_openings": "drivers.door_openings:DoorOpenings",
    "ds18b20": "drivers.ds18b20:Ds18b20",
    "fire_zone": "drivers.fire_zone:FireZone",
    "gateway_health": "drivers.gateway_health:GatewayHealth",
    "gps_gpsd": "drivers.gps_gpsd:GpsGpsd",
    "gps_nmea": "drivers.gps_nmea:GpsNmea",
    "mcp3008": "drivers.mcp3008:Mcp3008",
    "meter": "drivers.meter:Meter",
    "modbus": "drivers.modbus_table:ModbusTable",
    "occupancy": "drivers.occupancy:OccupancyOf",
    "people_counter": "drivers.people_counter:PeopleCounter",
    "pulses": "drivers.pulses:Pulses",
    "relay": "drivers.relay:Relay",
    "serial_frames": "drivers.serial_frames:SerialFrames",
    "track": "drivers.track:TrackOf",
}


def find(name: str) -> type[Driver]:
    """The driver class called `name`; LookupError, in words for the one who configures, if there is none."""
    if name in OURS:
        module, _, attribute = OURS[name].partition(":")
        found: object = getattr(import_module(module), attribute)
    else:
        found = _foreign(name)
    if isinstance(found, type) and issubclass(found, Driver):
        return found
    raise LookupError(f"driver {name!r} is no subclass of gateway.driver.Driver: {found!r}")


def names() -> tuple[str, ...]:
    """All drivers that can be found, sorted."""
    return tuple(sorted({*OURS, *(entry.name for entry in _entries())}))


def profile_folder() -> Path:
    """The folder of the profiles that come with this package."""
    return Path(__file__).parent / "profiles"


def _foreign(name: str) -> object:
    entry = next((entry for entry in _entries() if entry.name == name), None)
    if entry is None:
        raise LookupError(f"there is no driver {name!r}; there are {', '.join(names())}")
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise LookupError(f"driver {name!r} is registered as {entry.value} and cannot be imported: {error}") from error


def _entries() -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - 15 ms, and only where a driver is not ours

    return tuple(entry_points(group=GROUP))
