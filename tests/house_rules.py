"""The house's rules, as far as a machine can check them: who may import whom, and a few habits. See gateway/README.md.

A rule is a function of one source file (and of all others, by path) that yields its problems as `path:line: what`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import TypeAlias

from source_file import Source, name_of, room_of


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PURE_ROOMS = (
    "gateway.model",
    "gateway.units",
    "gateway.errors",
    "gateway.records",
    "gateway.driver",
    "gateway.hours",
    "gateway.zones",
    "gateway.wiretime",
    "gateway.release",
    "gateway.notice",
    "gateway.rules",
    "gateway.refine",
    "gateway.derive",
    "gateway.links.schedule",
    "gateway.links.debounce",
)
"""What decides without looking at the world: no clock, thread, log, file or socket."""

HARMLESS = words(
    "__future__ abc base64 binascii bisect collections contextlib copy dataclasses decimal difflib enum fractions "
    "functools graphlib hashlib heapq itertools json math operator re statistics string struct types typing zlib"
)
"""The stdlib that only computes."""

DRIVERS_MAY = (
    "gateway.driver",
    "gateway.derive",
    "gateway.model",
    "gateway.errors",
    "gateway.units",
    "gateway.zones",
    "gateway.wiretime",
    "gateway.release",
    "gateway.untrusted",
)
PARSING = HARMLESS | words("calendar datetime")
CLOCKS = words("now today utcnow")  # of datetime

LIBRARY_HOMES = {
    "serial": ("gateway/links/serial.py",),
    "gpiozero": ("gateway/links/gpio.py",),
    "pymodbus": ("gateway/links/request.py",),
    "paho": ("gateway/uplink/mqtt.py", "gateway/contract/consumer.py", "gateway/contract/small_consumer.py"),
    "cryptography": ("gateway/signature.py", "gateway/contract/signed_command.py"),
    "sqlite3": (
        "gateway/journal/",
        "gateway/cli/",
        "gateway/contract/consumer.py",
        "gateway/contract/small_consumer.py",
    ),
    "sqlite_utils": ("gateway/journal/", "gateway/cli/"),
    "yaml": ("gateway/config/",),
    "pydantic": ("gateway/config/",),
    "pydantic_core": ("gateway/config/",),
}
"""One library that touches the world, one file (or room): its surprises are met in one place. The consumer is no part
of the gateway, but an example of the other end.
"""

WIRED_ROOMS = words("links hub journal uplink control supervisor")
"""The rooms with state. They meet in gateway/app.py, and else only through the messages of gateway/model.py."""

HUB_NEVER = words("os io pathlib tempfile shutil socket ssl select selectors subprocess")

VAGUE = words("util utils helper helpers common misc base core manager handler service processor")
TERMS = words("in_service out_of_service")  # of alarms, in ISA-18.2

LOCKS = words("Lock RLock Condition Semaphore BoundedSemaphore")
CONTAINERS = words("list dict set bytearray defaultdict OrderedDict Counter")
STATEFUL = LOCKS | words("deque Queue SimpleQueue PriorityQueue Event count")
MUTATORS = words("append appendleft add clear discard extend insert pop popitem remove setdefault sort reverse update")
OPENERS = words("open connect connect_async start listen bind")
PRODUCT = ("gateway/", "drivers/")


House: TypeAlias = Mapping[str, Source]
"""All files, by path."""

Rule: TypeAlias = Callable[[Source, House], Iterator[str]]


def inside(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def pure_rooms_only_compute(source: Source, _house: House) -> Iterator[str]:
    if not inside(source.module, PURE_ROOMS):
        return
    for node, name in source.imports():
        if name.split(".")[0] not in PARSING and not inside(name, PURE_ROOMS):
            yield source.at(node, f"a pure room imports {name}")
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS:
            yield source.at(node, f"a pure room looks at the clock: {node.attr}")


def what_calls_itself_pure_is(source: Source, _house: House) -> Iterator[str]:
    """A file whose docstring has the sentence "Pure." may be in any room, and uses nothing that looks at the world."""
    sentence = re.compile(r"\bPure[.:;]")
    if not sentence.search(source.text) or not sentence.search(ast.get_docstring(source.tree) or ""):
        return
    for node, name in source.imports():
        top = name.split(".")[0]
        if top not in PARSING and top not in {"gateway", "drivers"}:
            yield source.at(node, f"a file that calls itself pure imports {name}")


def drivers_only_translate(source: Source, house: House) -> Iterator[str]:
    if not source.path.startswith("drivers/") or source.path == "drivers/__init__.py":
        return
    for node, name in source.imports():
        if name.startswith("drivers."):
            other = house.get("/".join(name.split(".")[:2]) + ".py")
            if other is None or is_driver(other):
                yield source.at(node, f"a driver imports another driver, {name}")
        elif name.split(".")[0] not in PARSING and not inside(name, DRIVERS_MAY):
            yield source.at(node, f"a driver imports {name}")


def is_driver(source: Source) -> bool:
    kinds = {"Driver", "Polled", "Pushed", "Output"}
    return any(
        isinstance(node, ast.ClassDef) and kinds & {name_of(base) for base in node.bases} for node in source.nodes
    )


def a_library_has_one_home(source: Source, _house: House) -> Iterator[str]:
    if not source.path.startswith(PRODUCT):
        return
    for node, name in source.imports():
        homes = LIBRARY_HOMES.get(name.split(".")[0])
        if homes and not source.path.startswith(homes):
            yield source.at(node, f"{name} belongs to {' and '.join(homes)} alone")


def rooms_meet_in_app(source: Source, _house: House) -> Iterator[str]:
    if not source.path.startswith(PRODUCT) or source.path == "gateway/app.py":
        return
    met = {source.room} & WIRED_ROOMS
    for node, name in source.imports():
        room = room_of(name)
        if room in WIRED_ROOMS and room not in met and not inside(name, PURE_ROOMS):
            met.add(room)
            if len(met) > 1:
                yield source.at(node, f"the rooms {' and '.join(sorted(met))} meet outside gateway/app.py")


def only_commands_and_demo_import_app(source: Source, _house: House) -> Iterator[str]:
    if not source.path.startswith(PRODUCT) or source.room in {"cli", "demo"}:
        return
    for node, name in source.imports():
        if inside(name, ("gateway.app",)):
            yield source.at(node, "only gateway/cli and gateway/demo import app")


def hub_touches_no_disk_and_no_network(source: Source, _house: House) -> Iterator[str]:
    if source.room != "hub":
        return
    for node, name in source.imports():
        if name.split(".")[0] in HUB_NEVER:
            yield source.at(node, f"the hub imports {name}")
    for node in source.nodes:
        if isinstance(node, ast.Call) and name_of(node.func) == "open":
            yield source.at(node, "the hub opens something")


def modules_have_no_state(source: Source, _house: House) -> Iterator[str]:
    if not source.path.startswith(PRODUCT):
        return
    changed = set(changed_names(source))
    for node in source.nodes:
        if isinstance(node, ast.Global):
            yield source.at(node, f"global {', '.join(node.names)}")
    for node in source.tree.body:
        value = getattr(node, "value", None)
        if not isinstance(node, ast.Assign | ast.AnnAssign) or value is None:
            continue
        names = [name_of(target) for target in (node.targets if isinstance(node, ast.Assign) else [node.target])]
        made = name_of(value.func) if isinstance(value, ast.Call) else ""
        constant = all(name.strip("_").isupper() or name == "__all__" for name in names)
        mutable = isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)
        if made in STATEFUL or ((mutable or made in CONTAINERS) and (not constant or changed & set(names))):
            yield source.at(node, f"{', '.join(names)} is state of a module")


def changed_names(source: Source) -> Iterator[str]:
    """Names whose contents are changed in place, anywhere in the file."""
    for node in source.nodes:
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            yield name_of(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
            yield name_of(node.func.value)
        elif isinstance(node, ast.AugAssign):
            yield name_of(node.target)


def a_lock_has_its_reason_beside_it(source: Source, _house: House) -> Iterator[str]:
    if not source.path.startswith(PRODUCT):
        return
    for node in source.nodes:
        if isinstance(node, ast.Call) and name_of(node.func) in LOCKS and not source.reason(node.lineno):
            yield source.at(node, f"{name_of(node.func)} without a comment that says why")


def a_broad_except_has_its_reason_beside_it(source: Source, _house: House) -> Iterator[str]:
    if not source.path.startswith(PRODUCT):
        return
    for node in source.nodes:
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        broad = any(kind is None or name_of(kind) in {"Exception", "BaseException"} for kind in caught)
        last = node.body[-1]
        passes_on = isinstance(last, ast.Raise) and last.exc is None
        if broad and not passes_on and not source.reason(node.lineno):
            yield source.at(node, "a broad except without a comment that says why")


def an_ignored_rule_has_its_reason(source: Source, _house: House) -> Iterator[str]:
    """Neighbouring lines that ignore the same rule may share one reason."""
    if "noqa" not in source.text:
        return
    ignored = {line: re.search(r"noqa(: ?[A-Z]+[0-9]+)?", comment) for line, comment in source.comments.items()}
    codes = {line: found[1] for line, found in ignored.items() if found}
    for (code, _), group in groupby(enumerate(codes), lambda item: (codes[item[1]], item[1] - item[0])):
        lines = [line for _, line in group]
        if not code or not any(source.reason(line) for line in lines):
            yield f"{source.path}:{lines[0]}: a noqa without its rule or its reason"


def nothing_sleeps(source: Source, _house: House) -> Iterator[str]:
    if "sleep" not in source.text:
        return
    for node, name in source.imports():
        if name in {"time.sleep", "asyncio.sleep"}:
            yield source.at(node, f"{name} is imported")
    yields = {
        node.func for node in source.nodes if isinstance(node, ast.Call) and ast.unparse(node) == "asyncio.sleep(0)"
    }
    for node in source.nodes:
        sleeps = isinstance(node, ast.Attribute) and ast.unparse(node) in {"time.sleep", "asyncio.sleep"}
        if sleeps and node not in yields:
            yield source.at(node, f"{ast.unparse(node)}: wait on an event, a queue or a selector")


def modules_are_nouns_of_the_domain(source: Source, _house: House) -> Iterator[str]:
    parts = [part for part in source.module.split(".") if part not in TERMS]
    vague = {word for part in parts for word in part.split("_")} & VAGUE
    if vague:
        yield f"{source.path}:1: {', '.join(sorted(vague))} says nothing about a module"


def constructors_only_assign(source: Source, _house: House) -> Iterator[str]:
    if not source.path.startswith(PRODUCT):
        return
    for node in source.nodes:
        if not isinstance(node, ast.FunctionDef) or node.name != "__init__":
            continue
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and name_of(call.func) in OPENERS:
                yield source.at(call, f"a constructor calls {name_of(call.func)}")


RULES: tuple[Rule, ...] = (
    pure_rooms_only_compute,
    what_calls_itself_pure_is,
    drivers_only_translate,
    a_library_has_one_home,
    rooms_meet_in_app,
    only_commands_and_demo_import_app,
    hub_touches_no_disk_and_no_network,
    modules_have_no_state,
    a_lock_has_its_reason_beside_it,
    a_broad_except_has_its_reason_beside_it,
    an_ignored_rule_has_its_reason,
    nothing_sleeps,
    modules_are_nouns_of_the_domain,
    constructors_only_assign,
)
