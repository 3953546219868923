"""Secrets: read from files or systemd credentials, shown nowhere.

A name without a folder is looked for among the credentials that systemd hands over ($CREDENTIALS_DIRECTORY) first,
then beside the configuration, then where systemd takes them from, which helps a check by root. A file that others can
read is refused; systemd's own folder is guarded by systemd. No message tells a name or a content: a password that is
written where its file's name belongs must not end in a log.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gateway.errors import ConfigError

MAX_BYTES = 4096
CREDENTIAL_STORE = Path("/etc/credstore")


class Secret:
    """A text that shows itself only to `reveal`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not stored")


def located(name: str, folder: Path) -> Path:
    """The file called `name`: a credential, or below `folder`, or where an absolute `name` says; it may not exist."""
    own = folder / name
    if "/" in name:
        return own
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    places = ([Path(credentials) / name] if credentials else []) + [own, CREDENTIAL_STORE / name]
    return next((place for place in places if os.path.isfile(place)), own)  # noqa: PTH113 - is_file() can raise


def read_secret(name: str, folder: Path) -> Secret:
    """The secret in the file called `name`, without one newline at its end; ConfigError with a hint."""
    path = located(name, folder)
    try:
        data = _private_bytes(path, MAX_BYTES)
    except OSError as error:
        raise ConfigError(
            (f"{reason(error)}; put the secret alone into it, chmod 600, or hand it over as a credential",)
        ) from error
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(("its file is not UTF-8 text; save it as UTF-8",)) from error
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ConfigError(("its file is empty; put the secret alone into it",))
    return Secret(text)


def check_key(name: str, folder: Path) -> None:
    """Refuse a private key that cannot be read, or that others can read, with a ConfigError."""
    try:
        _private_bytes(located(name, folder), 64 * MAX_BYTES)
    except OSError as error:
        raise ConfigError((f"{reason(error)}; check the name, relative to the configuration",)) from error


def reason(error: OSError) -> str:
    """Why its file cannot be read, without its name."""
    if isinstance(error, PermissionError):
        return "its file cannot be read by this user; try it as the user that runs sitewarden"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "its file does not exist"
    return f"its file cannot be read: {(error.strerror or 'unusable name').lower()}"


def _private_bytes(path: Path, most: int) -> bytes:
    """All of a file that is no larger than `most` bytes and closed to others; OSError or ConfigError."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO must not hold up the start
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise ConfigError(("this is no file; give the name of a file",))
        if about.st_mode & 0o077 and not _from_systemd(path):
            raise ConfigError(("its file can be read by others; chmod 600 it",))
        data = os.read(handle, most + 1)
    finally:
        os.close(handle)
    if len(data) > most:
        raise ConfigError((f"its file is larger than {most} bytes; put the secret alone into it",))
    return data


def _from_systemd(path: Path) -> bool:
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(credentials) and path.parent.resolve() == Path(credentials or "/").resolve()
