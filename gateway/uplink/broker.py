"""One of an uplink's brokers: how a connection to it begins, which MQTT version it is met with, and why it ended.

- MQTT 5 first; 3.1.1 from then on if the broker says that it does not know 5.
- Some old brokers hang up on 5 without a word: after two hang-ups in a row the next attempt is made with 3.1.1. That
  counts for one connection, since a load balancer hangs up too while its broker restarts. The one after it begins with
  5 again, and where 3.1.1 worked before, one hang-up is enough.
- User, password, certificates and proxy are the uplink's, the same for all its brokers, and read anew each time.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

from gateway.config import schema
from gateway.config.secrets import read_secret
from gateway.errors import ConfigError
from gateway.uplink import faults, handshake, tls
from gateway.uplink.address import Proxy, endpoint, proxy_at
from gateway.uplink.mqtt import Connection, Login
from gateway.uplink.wire import Publication, Tell

Secure: TypeAlias = Callable[[tls.Shown], ssl.SSLContext]
"""The certificate files as they are now; OSError if one cannot be used."""


class Account(NamedTuple):
    """Who we are to the brokers of one uplink; its files are below `folder`. `known`: what explains a failed TLS."""

    options: schema.Uplink
    folder: Path
    client_id: str
    will: Callable[[], Publication]
    known: Callable[[tls.Shown], handshake.Known]

    def proxy(self) -> Proxy | None:
        """The way to all brokers; OSError or ConfigError if its password cannot be used."""
        options = self.options
        if not options.proxy:
            return None
        password = self.secret(options.proxy_password_file) or ""
        return proxy_at(options.proxy)._replace(username=options.proxy_username, password=password)

    def secret(self, name: str) -> str | None:
        """What is in the file called `name`, None without a name; OSError or ConfigError if it cannot be used."""
        return read_secret(name, self.folder).reveal() if name else None


class Broker:
    """The broker at `url`."""

    def __init__(self, url: str, account: Account) -> None:
        self.where = endpoint(url)
        self._account = account
        self._version = "5"
        self._hung_up = 0
        self._hang_ups_taken = 2
        self._says_3_1_1 = False

    def connection(self, number: int, tell: Tell) -> Connection:
        """A connection to be opened."""
        return Connection(number, self._version, self.where, tell)

    def open(self, connection: Connection, secure: Secure) -> bool:
        """Open it; on failure its `fault` says why. Returns whether all files could be used."""
        try:
            login = self._login(connection.shown, secure)
        except ConfigError as error:
            hint = "Check password_file and proxy_password_file"
            connection.fault = faults.refusal(f"the password cannot be used: {error}", hint)
        except OSError as error:
            connection.fault = faults.files(error)
        else:
            connection.open(login)
            return True
        return False

    def _login(self, shown: tls.Shown, secure: Secure) -> Login:
        """What the configuration says and its files hold; OSError or ConfigError if one cannot be used."""
        account, options = self._account, self._account.options
        password = account.secret(options.password_file)
        context = secure(shown) if self.where.tls else None
        will, proxy = account.will(), account.proxy()
        return Login(account.client_id, options.username, password, context, will, options.keepalive, proxy)

    def conclude(self, ended: Connection) -> bool:
        """After a connection: note its `fault`; whether to try again at once with 3.1.1, which it is met with then."""
        self._explain(ended)
        hung_up = ended.fault is None and not ended.is_up
        ended.fault = ended.fault or faults.closed(self.where, ended.is_up)
        if self._version == "3.1.1":
            if not self._says_3_1_1:
                self._begin_with_5(1 if ended.is_up else 2)
            return False
        if ended.is_up:
            self._begin_with_5(2)
        self._hung_up = self._hung_up + 1 if hung_up else 0
        if not ended.version_refused and self._hung_up < self._hang_ups_taken:
            return False
        self._version, self._says_3_1_1 = "3.1.1", ended.version_refused
        return True

    def _begin_with_5(self, hang_ups_taken: int) -> None:
        self._version, self._hung_up, self._hang_ups_taken = "5", 0, hang_ups_taken

    def _explain(self, ended: Connection) -> None:
        """Where TLS failed, that is the reason, whatever else came of it."""
        error = ended.shown.error
        if error is not None and not ended.is_up:
            ended.fault = handshake.fault(error, self.where, self._account.known(ended.shown))
