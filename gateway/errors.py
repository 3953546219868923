"""The error family, named by what happens next. Every error says what is wrong and, as a hint, what to try."""

from __future__ import annotations


class SitewardenError(Exception):
    """A failure that Sitewarden explains: `what` happened and a `hint` that an operator can act on."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what} ({self.hint})" if self.hint else self.what


class ConfigError(SitewardenError):
    """The configuration is wrong: start is refused (exit code 78). `problems` holds `file:line:col: what` lines."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class LinkDown(SitewardenError):  # noqa: N818 - named by its consequence
    """The port or connection cannot be used: its devices are bad, the poller closes it, waits and opens it again."""


class NoReply(SitewardenError):  # noqa: N818 - named by its consequence
    """Silence, a bad checksum, half a frame or a busy device: this device is bad, the next one is asked.

    `fault` is the name under which the poller counts it: silent, checksum, half_frame, wrong_unit, wrong_function,
    wrong_length, wrong_echo, wrong_transaction, disconnected, busy, device_failure, gateway, noise. Of a device
    that talks by itself it counts `dropped` besides: what its driver did not believe.
    """

    def __init__(self, fault: str, what: str, hint: str = "") -> None:
        super().__init__(what, hint)
        self.fault = fault


class Refused(SitewardenError):  # noqa: N818 - named by its consequence
    """The device itself said no: a fault of configuration. `code` is the Modbus exception code, 1 to 3."""

    def __init__(self, code: int, what: str, hint: str = "") -> None:
        super().__init__(what, hint)
        self.code = code


class JournalDown(SitewardenError):  # noqa: N818 - named by its consequence
    """The journal's file cannot be used: records wait in bounded memory, events first, and the disk is tried again."""


class AlreadyRunning(SitewardenError):  # noqa: N818 - named by its consequence
    """Another daemon owns this state directory: start is refused (exit code 75)."""


class CannotCreate(SitewardenError):  # noqa: N818 - named by its consequence
    """A file that was asked for cannot be made (exit code 73)."""
