"""Whether the uplinks can work: addresses, files, and no secret in the clear."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from gateway.config.draft import Draft
from gateway.config.problems import Where, shown
from gateway.config.schema import Uplink
from gateway.config.secrets import check_key, located, read_secret, reason
from gateway.errors import ConfigError
from gateway.signature import INSTALL, missing, public_key

_EXAMPLE = "as in mqtts://mqtt.example.com:8883"
_SCHEMES = {"mqtts", "wss", "mqtt"}
_HOST = re.compile(r"[\w.:%-]+")
_PATH = re.compile(r"[/A-Za-z0-9._~!$&'()*+,;=:%-]*")
"""What a path may hold as it is written. Source: RFC 3986, 3.3; without @, which is for users and passwords."""


def check_uplinks(draft: Draft, folder: Path) -> None:
    """Note what is wrong with the uplinks in the draft's tree; their files are below `folder`."""
    taken: dict[tuple[str, str], str] = {}
    for name, uplink in draft.uplinks.items():
        where = ("uplinks", name)
        urls = _check_urls(draft, uplink, where)
        _check_proxy(draft, uplink, where)
        _check_files(draft, uplink, where, folder)
        _check_keys(draft, uplink, where)
        if not uplink.enabled:
            continue
        others = [(taken.setdefault((url.netloc, url.path), name), url.netloc) for url in urls]
        other, broker = next(((other, broker) for other, broker in others if other != name), ("", ""))
        if other:
            told = f"{other} uses the broker at {broker} already, and both would speak under the same topics"
            draft.tree.blame_key(where, f"{told}; give each uplink a broker of its own, or one uplink several urls")


def _check_urls(draft: Draft, uplink: Uplink, where: Where) -> list[SplitResult]:
    """The addresses that are right, each by itself and beside the others."""
    urls: list[SplitResult] = []
    listed = isinstance(draft.tree.get((*where, "url")), list)
    if not uplink.url:
        draft.tree.blame((*where, "url"), f"must not be empty; name a broker, {_EXAMPLE}")
    for number, text in enumerate(uplink.url):
        at = (*where, "url", number) if listed else (*where, "url")
        url = _split(draft, text, at)
        if url is None:
            continue
        if url in urls:
            draft.tree.blame(at, "stands in this list before; name each broker once")
        urls.append(url)
        if uplink.username or uplink.password_file:
            _check_encryption(draft, url, uplink, at)
    return urls


def _split(draft: Draft, text: str, where: Where) -> SplitResult | None:
    """The parts of an address; None, with a problem, if it is none. Nothing is echoed that may hold a password."""
    url = _parts(draft, text, where, _EXAMPLE)
    if url is None:
        return None
    told = ""
    if "@" in text:
        told = "must not hold a user or password; use username and password_file"
    elif url.scheme not in _SCHEMES:
        told = f"must begin with mqtts://, wss:// or mqtt://; write it {_EXAMPLE}"
    elif url.hostname and not _HOST.fullmatch(url.hostname):
        told = f"holds what no host name can hold; write it {_EXAMPLE}"
    elif url.scheme == "wss":
        told = _wrong_websocket(url)
    elif not url.hostname or not url.port:
        told = f"must name host and port; write it {_EXAMPLE}"
    elif _goes_on(url):
        told = f"must end after the port; write {url.scheme}://{shown(url.hostname)[1:-1]}:{url.port}"
    if told:
        draft.tree.blame(where, told)
    return None if told else _spelled_out(url)


def _spelled_out(url: SplitResult) -> SplitResult:
    """The same address in the one form that can be compared with others."""
    host = url.hostname or ""
    host = f"[{host}]" if ":" in host else host
    if url.scheme == "wss":
        return url._replace(netloc=f"{host}:{url.port or 443}", path=url.path if len(url.path) > 1 else "/mqtt")
    return url._replace(netloc=f"{host}:{url.port}", path="")


def _wrong_websocket(url: SplitResult) -> str:
    """What is wrong with a wss address; "" if nothing is."""
    example = "as in wss://mqtt.example.com/mqtt"
    if not url.hostname or url.port == 0:
        return f"must name a host; write it {example}"
    if url.query or url.fragment or not _PATH.fullmatch(url.path):
        return f"must end after a plain path; write it {example}"
    return ""


def _goes_on(url: SplitResult) -> bool:
    """Whether there is something behind the port."""
    return url.path not in {"", "/"} or bool(url.query or url.fragment)


def _parts(draft: Draft, text: str, where: Where, example: str) -> SplitResult | None:
    try:
        url = urlsplit(text)
        _ = url.port  # refuses what is no port
    except ValueError:
        draft.tree.blame(where, f"cannot be read as an address; write it {example}")
        return None
    return url


def _check_encryption(draft: Draft, url: SplitResult, uplink: Uplink, where: Where) -> None:
    if url.scheme == "mqtt" and (uplink.proxy or not _is_loopback(url.hostname or "")):
        secret = "password" if uplink.password_file else "username"
        told = f"would send the {secret} over the network in the clear; use mqtts://{url.hostname}:8883"
        draft.tree.blame(where, told)


def _check_proxy(draft: Draft, uplink: Uplink, where: Where) -> None:
    example = "as in http://proxy.example.com:3128"
    url = _parts(draft, uplink.proxy, (*where, "proxy"), example) if uplink.proxy else None
    told = ""
    if url is not None and "@" in uplink.proxy:
        told = "must not hold a user or password; use proxy_username and proxy_password_file"
    elif url is not None and (url.scheme != "http" or not url.hostname or not url.port or _goes_on(url)):
        told = f"must be http://, host and port; write it {example}"
    if told:
        draft.tree.blame((*where, "proxy"), told)
    if ":" in uplink.proxy_username:
        draft.tree.blame((*where, "proxy_username"), "must not hold a colon; a proxy ends the name there")
    for option, partner in (("proxy_username", "proxy"), ("proxy_password_file", "proxy_username")):
        if getattr(uplink, option) and not getattr(uplink, partner):
            draft.tree.blame_key((*where, option), f"goes with {partner}; add it")


def _check_keys(draft: Draft, uplink: Uplink, where: Where) -> None:
    """Each is a public key, and this machine can check signatures: they are never taken unchecked."""
    at = (*where, "command_key")
    listed = isinstance(draft.tree.get(at), list)
    if listed and not uplink.command_key:
        draft.tree.blame(at, "must not be empty; name a key, or leave it out")
    for number, written in enumerate(uplink.command_key):
        try:
            public_key(written)
        except ValueError:
            told = "is no Ed25519 public key; write its 32 bytes as base64, in hex, or as PEM"
            draft.tree.blame((*at, number) if listed else at, told)
    why = missing() if uplink.command_key and uplink.enabled else ""
    if why:
        draft.tree.blame_key(at, f"needs a library to check signatures: {why}; {INSTALL}")


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
    for option, check in (
        ("password_file", read_secret),
        ("proxy_password_file", read_secret),
        ("key_file", check_key),
    ):
        name = getattr(uplink, option)
        try:
            if name:
                check(name, folder)
        except ConfigError as error:
            draft.tree.blame((*where, option), error.problems[0])
