"""One performance of the demo: a folder, a site, a broker, the daemon as it runs on a Pi, and the summary.

Invariants: what was put up is taken down again in the opposite order, whatever happens in between; nothing stays behind
but the folder to be kept, if there is one.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, TextIO

from gateway.app import Gateway
from gateway.config.installed import read_config
from gateway.config.schema import Config
from gateway.demo.broker import Broker
from gateway.demo.cast import Cast
from gateway.demo.casts import CENTRE
from gateway.demo.lines import Lines
from gateway.demo.platform import Platform
from gateway.demo.screen import Screen
from gateway.demo.show import Show
from gateway.demo.site import Site
from gateway.demo.summary import Delivery, Ending, told, verdicts
from gateway.demo.unsent import unacknowledged
from gateway.demo.witness import Witness
from gateway.links.gpio import mock_pin
from gateway.model import SENT_LANES

OK, BROKEN = 0, 1
EXAMPLES = Path(__file__).parents[1] / "examples"
UPLINK = "platform"  # its name in the examples
LOG_FILE = "demo.log"


@dataclass(frozen=True, slots=True)
class Options:
    """How the demo is performed. `lasts_s` None: until somebody ends it; `broker_url` "": with a broker of its own."""

    drawn: bool = True  # on a screen, else in lines
    lasts_s: float | None = None
    broker_url: str = ""
    keep: Path | None = None  # a folder that is there
    cast: Cast = CENTRE
    overrides: Mapping[tuple[str, ...], object] = field(default_factory=dict)  # of the example, for another story


class _Setting(NamedTuple):
    """Everything that was put up; broker and platform only where they are the demo's own."""

    folder: Path
    config: Config
    site: Site
    broker: Broker | None
    platform: Platform | None


def perform(options: Options, out: TextIO, words: SimpleQueue[str]) -> int:
    """Play until it has lasted, or somebody says a word, and print the summary; 0, or 1 if a promise was broken."""
    with ExitStack() as stack:
        setting = _put_up(options, stack)
        ending = _play(options, setting, out, words)
        made = verdicts(ending)
        out.writelines(line + "\n" for line in told(made, ending, str(options.keep or "")))
        out.flush()
    return BROKEN if any(verdict.kept is False for verdict in made) else OK


def _put_up(options: Options, stack: ExitStack) -> _Setting:
    """The site and, unless there is one, the broker; the configuration then points at them."""
    passing = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sitewarden-demo-")))
    folder = options.keep.resolve() if options.keep is not None else passing
    stack.enter_context(_log_into(folder / LOG_FILE))
    cast = options.cast
    site = Site(cast, passing, mock_pin)
    stack.callback(site.close)
    overrides = site.open()
    heard: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
    broker, url = None, options.broker_url
    if not url:
        broker = Broker(tap=lambda topic, payload, _: heard.put((topic, payload)))
        stack.callback(broker.stop)
        url = f"mqtt://127.0.0.1:{broker.start()}"
    own = {**cast.quicker, **overrides, **options.overrides, ("uplinks", UPLINK, "url"): url}
    config = read_config(EXAMPLES / cast.example, own)
    platform = Platform(_root(config), heard, broker.publish) if broker is not None else None
    return _Setting(folder, config, site, broker, platform)


def _play(options: Options, setting: _Setting, out: TextIO, words: SimpleQueue[str]) -> Ending:
    """The story on a running gateway, until everything is delivered and the gateway has stopped."""
    face = Screen(out) if options.drawn else Lines(out)
    gateway = Gateway(setting.config, setting.folder)
    witness = Witness({name: it.every for name, it in setting.config.devices.items()}, options.cast.siren)
    show = Show(options.cast.story, gateway, setting.site, witness, face, setting.broker, setting.platform)
    show.tell(f"LOOK     sitewarden status --state {setting.folder}")
    if setting.broker is not None:
        show.tell(f"LOOK     mosquitto_sub -p {setting.broker.port} -t 'sitewarden/#' -v")
    face.open()
    try:
        gateway.start(words.put)
        show.play(options.lasts_s, words)
        numbered = show.settle(words)
        deaths = gateway.deaths + (not setting.site.alive)
    finally:
        face.close()
        gateway.stop()
    tally = setting.platform.tally if setting.platform is not None else None
    delivery = Delivery(
        numbered=numbered,
        whole={lane: tally.whole(gateway.run, lane) for lane in SENT_LANES} if tally is not None else None,
        received=tally.received() if tally is not None else None,
        unacknowledged=unacknowledged(setting.folder, gateway.run, UPLINK, numbered),
    )
    return Ending(options.cast.story, show.played_s, witness, delivery, deaths)


def _root(config: Config) -> str:
    """Where the gateway's topics begin."""
    return f"sitewarden/v1/{config.site.id}/{config.gateway.id}"


@contextmanager
def _log_into(path: Path) -> Iterator[None]:
    """The daemon's log goes into a file: the terminal has a picture on it."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("pymodbus").setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()
