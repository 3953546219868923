"""Every output of a configuration, switched to its safe value by a command of its own.

All links are opened at once, each output is tried three times, and what has not worked by `LONGEST_S` is given up and
named. A pin is let go of afterwards, as at the end of every program: what holds its level from then on is the wiring.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from gateway.cli.direct import opened
from gateway.config.schema import Config
from gateway.driver import Output
from gateway.errors import NoReply, Refused, SitewardenError
from gateway.links.device import Attended, LinkDevice
from gateway.links.schedule import Urgency
from gateway.model import Bad, Value

LONGEST_S = 6.0
"""For all of it: the service manager starts no daemon before that, and nobody watches the site meanwhile."""

ATTEMPTS = 3
NEVER_S = 3600.0  # nothing here is asked again


class Told(NamedTuple):
    """What became of an output; `wrong`: why it may not be at its safe value, "" if it is."""

    output: str
    value: str
    wrong: str


def made_safe(config: Config, longest_s: float = LONGEST_S) -> Iterator[Told]:
    """What became of each output of the configuration."""
    done = SimpleQueue[_OfLink]()
    waiting = {link.name: link for link in _links(config)}
    for link in waiting.values():
        threading.Thread(target=link.write, args=(done.put,), name=f"link {link.name}", daemon=True).start()
    until = time.monotonic() + longest_s
    while waiting:
        try:
            link = done.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            break
        yield from waiting.pop(link.name).told.values()
    for link in waiting.values():
        yield from link.told.values()  # as far as it has come


class _OfLink:
    """The outputs of one link; changed by the thread in which `write` runs alone."""

    def __init__(self, name: str, config: Config, outputs: Mapping[str, Output]) -> None:
        self.name = name
        self.told = {
            (device, point): Told(f"{device}.{point}", str(value), "it was not written in time")
            for device, driver in outputs.items()
            for point, value in driver.safe.items()
        }
        self._config = config
        self._outputs = outputs

    def write(self, done: Callable[[_OfLink], None]) -> None:
        """Write all and note what became of each."""
        uses = [(use, NEVER_S) for driver in self._outputs.values() for use in driver.pins if use.output]
        part, family = self._config.links[self.name], next(iter(self._outputs.values())).family
        try:
            with opened(self.name, part, family, uses, Path(self._config.folder)) as direct:
                for device, driver in self._outputs.items():
                    each = Attended(LinkDevice(device, driver, NEVER_S, Urgency.CONTACT))
                    for point, value in driver.safe.items():
                        self._note((device, point), _wrong(each, direct.offer, point, value))
        except SitewardenError as error:
            self._give_up(str(error))
        except Exception as error:  # noqa: BLE001 - a driver's bug on one link leaves no siren on at another
            self._give_up(f"{type(error).__name__}: {error}")
        finally:
            done(self)

    def _note(self, output: tuple[str, str], wrong: str) -> None:
        self.told[output] = self.told[output]._replace(wrong=wrong)

    def _give_up(self, why: str) -> None:
        for output, told in self.told.items():
            if told.wrong:
                self._note(output, why)


def _links(config: Config) -> Iterator[_OfLink]:
    """The links with something to switch; what plays a recording has no wire."""
    for name, part in config.links.items():
        built = {device: it.built for device, it in config.devices.items() if it.link == name}
        outputs = {device: driver for device, driver in built.items() if isinstance(driver, Output)}
        if outputs and part.type != "replay":
            yield _OfLink(name, config, outputs)


def _wrong(each: Attended, offer: Any, point: str, value: Value) -> str:  # noqa: ANN401 - the Protocol of its family
    """Why the output may not have taken the value, after as many attempts as there are; "" if it confirmed it."""
    why = ""
    for _ in range(ATTEMPTS):
        try:
            back = each.write(offer, point, value)
        except (NoReply, Refused) as error:
            why = str(error)
            continue
        if not isinstance(back.get(point), Bad):
            return ""
        why = "it reads back as something else"
    return why
