"""Whether responses fit the devices and the site's languages, and whether those that are called for are there."""

from __future__ import annotations

from gateway.config.draft import Draft
from gateway.config.points import LEAST_TIMES
from gateway.config.problems import Where, listed, shown, suggestion
from gateway.config.schema import Response
from gateway.config.targets import writable
from gateway.config.written import duration_text


def check_called(draft: Draft, where: Where, key: str, name: str | None) -> None:
    """Note that there is no response of this name."""
    known = draft.tree.section("responses")
    if name is not None and name not in known:
        draft.tree.blame((*where, key), f"there is no response {shown(name)}; {suggestion(name, known)}")


def check_reporting(draft: Draft) -> None:
    """Note which responses to a late report, or for a priority, there are not."""
    for key in ("unconfirmed", "escalated"):
        check_called(draft, ("reporting",), key, getattr(draft.reporting, key))
    for key in ("high", "medium", "low"):
        check_called(draft, ("responses_by_priority",), key, getattr(draft.responses_by_priority, key))


def check_responses(draft: Draft) -> None:
    """Note what is wrong with the responses in the draft's tree."""
    for name, response in draft.responses.items():
        where = ("responses", name)
        _check_outputs(draft, response, where)
        _check_ways(draft, response, where)
        _check_languages(draft, response, where)


def _check_outputs(draft: Draft, response: Response, where: Where) -> None:
    known = draft.tree.section("devices")
    seen: dict[tuple[str, str], str] = {}
    for written in response.set:
        at = (*where, "set", written)
        device, dot, point = written.partition(".")
        if device not in known:
            draft.tree.blame_key(at, f"there is no device {shown(device)}; {suggestion(device, known)}")
        elif device in draft.devices:
            names = [output.name for output in writable(draft.devices[device])]
            if not names:
                draft.tree.blame_key(at, f"{device} has no output to switch; {_outputs_hint(draft)}")
            elif dot and point not in names:
                draft.tree.blame_key(at, f"{device} has no output {shown(point)}; {suggestion(point, names)}")
            for output in (point,) if dot else names:
                other = seen.setdefault((device, output), written)
                if other != written:
                    draft.tree.blame_key(at, f"switches what {shown(other)} switches; name each output once")
                    break


def _outputs_hint(draft: Draft) -> str:
    devices = [name for name, device in draft.devices.items() if writable(device)]
    return f"outputs are at {listed(devices)}" if devices else "add a relay first"


def _check_ways(draft: Draft, response: Response, where: Where) -> None:
    """How outputs are switched is said of such as are switched; what pulses or sounds is on."""
    for key, named in (("pulse", response.pulse), ("at_most", response.at_most)):
        for output in named:
            if output not in response.set:
                draft.tree.blame_key((*where, key, output), _not_switched(output, response))
    for number, output in enumerate(response.audible):
        if output not in response.set:
            draft.tree.blame((*where, "audible", number), _not_switched(output, response))
    for output in response.pulse:
        if response.set.get(output) == "off":
            told = f"{output} is switched off by this response, and cannot pulse; write `{output}: on` in set"
            draft.tree.blame_key((*where, "pulse", output), told)
    for output, pulse in response.pulse.items():
        for key, lasts in zip(LEAST_TIMES, pulse, strict=True):
            _check_pace(draft, (*where, "pulse", output), output, key, lasts)


def _check_pace(draft: Draft, where: Where, written: str, key: str, lasts_s: float) -> None:
    """A pulse that is shorter than the output may be on, or off, is none."""
    name, _, point = written.partition(".")
    device = draft.devices.get(name)
    if device is None:
        return
    for output in writable(device):
        least_s = getattr(device.points.get(output.name), key, None) if point in {"", output.name} else None
        if least_s is not None and lasts_s < least_s:
            told = f"{duration_text(lasts_s)} is less than {key} of {name}.{output.name}, {duration_text(least_s)}"
            draft.tree.blame(where, f"{told}; pulse more slowly, or leave {key} out")


def _not_switched(output: str, response: Response) -> str:
    return f"{shown(output)} is not in set; {suggestion(output, response.set)}"


def _check_languages(draft: Draft, response: Response, where: Where) -> None:
    if isinstance(response.say, str) or draft.site is None:
        return
    languages = draft.site.languages
    if not languages:
        told = f"add `languages: [{', '.join(response.say)}]` to site, the main one first; or write one text"
        draft.tree.blame_key((*where, "say"), f"is a map, and the site has no languages; {told}")
        return
    for language in response.say:
        if language not in languages:
            told = f"{shown(language)} is no language of the site; {suggestion(language, languages)}"
            draft.tree.blame_key((*where, "say", language), told)
    missing = [language for language in languages if language not in response.say]
    if missing:
        draft.tree.blame_key((*where, "say"), f"says nothing in {listed(missing)}; add it, or write one text for all")
