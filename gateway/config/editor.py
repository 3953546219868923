"""JSON Schemas of configuration and profiles for editors, made from the dataclasses that the loader checks with.

It says what each key is for and what can be written there. What depends on other parts (does this link exist?) only
`sitewarden check` can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from gateway.config import schema, written
from gateway.config.draft import LINKS
from gateway.config.options import written_form
from gateway.config.points import KindPart
from gateway.config.typed import judge
from gateway.driver import Derived, Driver
from gateway.units import KINDS

JsonSchema: TypeAlias = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def editor_schema(drivers: Mapping[str, type[Driver]]) -> JsonSchema:
    """The schema of a configuration whose devices use `drivers`, by name."""
    defs: JsonSchema = {}
    common = _schema_of(schema.DeviceKeys, "device", defs)
    return {
        "$schema": _DIALECT,
        "title": "Sitewarden configuration",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "site": _schema_of(schema.Site, "site", defs),
            "gateway": _schema_of(schema.GatewayPart, "gateway", defs),
            "storage": _schema_of(schema.Storage, "storage", defs),
            "uplinks": _by_id(_schema_of(schema.Uplink, "uplink", defs)),
            "links": _by_id({"oneOf": [_schema_of(kind, name, defs) for name, kind in LINKS.items()]}),
            "devices": _by_id({"oneOf": [_device(name, drivers[name], common, defs) for name in sorted(drivers)]}),
            "rules": _by_id(_schema_of(schema.Rule, "rule", defs)),
            "responses": _by_id(_schema_of(schema.Response, "response", defs)),
            "responses_by_priority": _schema_of(schema.ResponsesByPriority, "responses_by_priority", defs),
            "reporting": _schema_of(schema.Reporting, "reporting", defs),
            "hours": _by_id(_schema_of(schema.Hours, "hours", defs)),
            "fences": _by_id(_schema_of(schema.FencePart, "fence", defs)),
            "report": _by_id(_schema_of(schema.Report, "report", defs)),
            "points": _by_id(_schema_of(KindPart, "points", defs)),
        },
        "required": ["site", "gateway", "devices"],
        "$defs": defs,
    }


def profile_schema(kind: type[Any]) -> JsonSchema:
    """The schema of a profile, the dataclass `kind`."""
    defs: JsonSchema = {}
    own = _schema_of(kind, "profile", defs)
    for part in defs.values():
        measured = part.get("properties", {}).get("kind", {"enum": ()})
        if "enum" not in measured:  # of a point, not of a checksum
            measured["enum"] = list(KINDS)
    points = own["properties"]["points"]
    points |= {"propertyNames": {"pattern": written.ID_PATTERN}, "minProperties": 1}
    return {"$schema": _DIALECT, "title": "Sitewarden profile", **own, "$defs": defs}


def _by_id(part: JsonSchema) -> JsonSchema:
    names = {"pattern": written.ID_PATTERN}
    return {"type": ["object", "null"], "propertyNames": names, "additionalProperties": part}


def _device(name: str, driver: type[Driver], common: JsonSchema, defs: JsonSchema) -> JsonSchema:
    """A device with this driver: the keys of every device, and its options."""
    own = _schema_of(written_form(driver.options), name, defs)
    about = (driver.__doc__ or "").split("\n")[0]
    keys = {**common["properties"], **own["properties"], "driver": {"const": name, "description": about}}
    needed = [*common["required"], *own.get("required", ())]
    if issubclass(driver, Derived):
        del keys["link"]
    else:
        keys["link"] = {**keys["link"]["anyOf"][0], "description": keys["link"]["description"]}
        needed.insert(1, "link")
    return {
        "type": "object",
        "description": about,
        "additionalProperties": False,
        "properties": keys,
        "required": needed,
    }


def _schema_of(kind: type[Any], owner: str, defs: JsonSchema) -> JsonSchema:
    """The schema of a dataclass; what it refers to goes to `defs`, under names that begin with `owner`."""
    found = judge(kind).json_schema(ref_template=f"#/$defs/{owner}.{{model}}")["$defs"]
    own: JsonSchema = _as_written(found.pop(kind.__name__))
    defs.update({f"{owner}.{name}": _as_written(part) for name, part in found.items()})
    return own


def _as_written(part: Any) -> Any:  # noqa: ANN401 - any piece of a schema
    """The piece with defaults as they are written (`10s`, not 10.0), and without generated titles."""
    if isinstance(part, list):
        return [_as_written(item) for item in part]
    if not isinstance(part, dict):
        return part
    kept = {key: _as_written(value) for key, value in part.items() if key != "title" or not isinstance(value, str)}
    default = kept.get("default")
    if default is None:
        kept.pop("default", None)
    elif kept.get("pattern") == written.DURATION_PATTERN:
        kept["default"] = written.duration_text(default)
    elif kept.get("pattern") == written.SIZE_PATTERN:
        kept["default"] = written.size_text(default)
    return kept
