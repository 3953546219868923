"""Whether the uplinks can work: addresses, files, and no secret in the clear."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from gateway.config.draft import Draft
from gateway.config.problems import Where, shown
from gateway.config.schema import Uplink
from gateway.config.secrets import check_key, located, read_secret, reason
from gateway.errors import ConfigError

_EXAMPLE = "as in mqtts://mqtt.example.com:8883"
_SCHEMES = {"mqtt", "mqtts"}


def check_uplinks(draft: Draft, folder: Path) -> None:
    """Note what is wrong with the uplinks in the draft's tree; their files are below `folder`."""
    taken: dict[tuple[str, str], str] = {}
    for name, uplink in draft.uplinks.items():
        where = ("uplinks", name)
        url = _split(draft, uplink.url, (*where, "url"))
        if url is not None and (uplink.username or uplink.password_file):
            _check_encryption(draft, url, uplink, where)
        _check_files(draft, uplink, where, folder)
        if not uplink.enabled:
            continue
        first = taken.setdefault((uplink.url, uplink.client_id), name)
        if first != name:
            told = f"{first} has the same url and client_id, and a broker keeps one of the two connected"
            draft.tree.blame_key(where, f"{told}; give each a client_id of its own")


def _split(draft: Draft, text: str, where: Where) -> SplitResult | None:
    """The parts of an address; None, with a problem, if it is none. Nothing is echoed that may hold a password."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        draft.tree.blame(where, f"cannot be read as an address; write it {_EXAMPLE}")
        return None
    told = ""
    if "@" in text:
        told = "must not hold a user or password; use username and password_file"
    elif url.scheme not in _SCHEMES:
        told = f"must begin with mqtts:// or mqtt://; write it {_EXAMPLE}"
    elif not url.hostname or not port:
        told = f"must name host and port; write it {_EXAMPLE}"
    elif url.path not in {"", "/"} or url.query or url.fragment:
        told = f"must end after the port; write {url.scheme}://{shown(url.hostname)[1:-1]}:{port}"
    if told:
        draft.tree.blame(where, told)
    return None if told else url


def _check_encryption(draft: Draft, url: SplitResult, uplink: Uplink, where: Where) -> None:
    if url.scheme == "mqtt" and not _is_loopback(url.hostname or ""):
        secret = "password" if uplink.password_file else "username"
        told = f"would send the {secret} over the network in the clear; use mqtts://{url.hostname}:8883"
        draft.tree.blame((*where, "url"), told)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_files(draft: Draft, uplink: Uplink, where: Where, folder: Path) -> None:
    for one, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if getattr(uplink, one) and not getattr(uplink, other):
            draft.tree.blame_key((*where, one), f"goes with {other}; add it")
    for option in ("ca_file", "cert_file"):
        name: str = getattr(uplink, option)
        if name:
            try:
                located(name, folder).open("rb").close()
            except OSError as error:
                told = f"{reason(error)}: {shown(name)}; check the name, relative to the configuration"
                draft.tree.blame((*where, option), told)
    try:
        if uplink.password_file:
            read_secret(uplink.password_file, folder)
    except ConfigError as error:
        draft.tree.blame((*where, "password_file"), error.problems[0])
    try:
        if uplink.key_file:
            check_key(uplink.key_file, folder)
    except ConfigError as error:
        draft.tree.blame((*where, "key_file"), error.problems[0])
