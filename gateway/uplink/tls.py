"""How an uplink speaks TLS. Verification of chain, dates and host name is always on; nothing turns it off.

TLS 1.2 at least. The host name is looked for among the certificate's SANs alone: by itself Python would also take the
subject's common name. Files are read anew for each connection, so a renewed certificate needs no restart.
Dates are checked against the machine's clock, even where that is wrong for certain: OpenSSL could check them against a
floor (X509_VERIFY_PARAM_set_time), but Python does not offer it, and to leave the dates of the whole chain out and then
look at the broker's certificate alone would accept an expired CA. So a clock in the past means no connection until it
is set, and faults.py says so; everything is recorded meanwhile.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway.config import schema
from gateway.config.secrets import located


class _Socket(ssl.SSLSocket):
    """Closes itself when the handshake fails; paho leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def context(options: schema.Uplink, folder: Path) -> ssl.SSLContext:
    """The context for one connection; OSError (ssl.SSLError among them) if a file cannot be used."""
    names = (options.ca_file, options.cert_file, options.key_file)
    ca, cert, key = (located(name, folder) if name else None for name in names)
    for path in (ca, cert, key):
        if path is not None:
            path.open("rb").close()  # unlike ssl's, this error names the file
    made = ssl.create_default_context(cafile=ca)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.hostname_checks_common_name = False
    made.sslsocket_class = _Socket
    if cert is not None:
        # without this an encrypted key would ask for its password on a terminal that nobody watches
        made.load_cert_chain(cert, key, password=lambda: b"")
    return made
