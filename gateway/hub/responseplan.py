"""What the configuration says of responses, for the hub. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from gateway.config.schema import Response as Options
from gateway.rules.responses import OutputPoint, Pulse, Response, Until, Way


def response(name: str, options: Options, outputs: Iterable[OutputPoint], languages: tuple[str, ...]) -> Response:
    """A response in terms of outputs, which it names as `device` or `device.point`."""
    say, say_in = options.say, {}
    if isinstance(say, dict):
        say_in = {language: say[language] for language in languages[1:]}
        say = say[languages[0]]
    return Response(
        id=name,
        outputs={
            output: _way(written, value, options)
            for written, value in options.set.items()
            for output in outputs
            if written in {output.device, f"{output.device}.{output.point}"}
        },
        say=say,
        say_in=say_in,
        tell=options.tell,
        until=Until(options.until),
    )


def _way(written: str, value: str, options: Options) -> Way:
    pulse = options.pulse.get(written)
    return Way(
        value,
        None if pulse is None else Pulse(*pulse),
        options.at_most.get(written, inf),
        written in options.audible,
    )
