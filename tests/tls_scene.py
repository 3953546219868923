"""Certificates made by openssl, and a TLS front before a plain broker."""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from gateway.uplink import certificates

CA_CONFIG = """
[ca]
default_ca = own
[own]
dir = {folder}
new_certs_dir = {folder}
database = {folder}/index
serial = {folder}/serial
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""


class Pair(NamedTuple):
    """A certificate and its key."""

    cert: Path
    key: Path


class Authority:
    """A CA of our own in `folder`."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ca = Pair(folder / "ca.pem", folder / "ca.key")
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        strict = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")  # without it no CA to Python 3.13
        made = ("-keyout", self.ca.key, "-out", self.ca.cert, "-subj", f"/CN={name}", "-days", "9")
        openssl("req", "-x509", *key, *strict, *made)
        (folder / "index").touch()
        (folder / "serial").write_text("1000\n")
        (folder / "ca.cnf").write_text(CA_CONFIG.format(folder=folder))

    def issue(self, name: str, san: str = "DNS:localhost,IP:127.0.0.1", begin: str = "", end: str = "") -> Pair:
        """A certificate for `name`; `begin` and `end` as 20200101000000Z."""
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        request, extra = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-new", *key, "-keyout", pair.key, "-out", request, "-subj", f"/CN={name}")
        pair.key.chmod(0o600)
        extra.write_text("authorityKeyIdentifier=keyid\n" + (f"subjectAltName={san}\n" if san else ""))
        dates = ("-startdate", begin or "20200101000000Z", "-enddate", end or "20991231235959Z")
        signer = ("-config", self.folder / "ca.cnf", "-cert", self.ca.cert, "-keyfile", self.ca.key, "-extfile", extra)
        openssl("ca", "-batch", "-notext", *signer, *dates, "-in", request, "-out", pair.cert)
        return pair


def openssl(*arguments: object) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def tls_front(port: int, pair: Pair, client_ca: Path | None = None, seen: list[str] | None = None) -> Iterator[int]:
    """Speaks TLS on a port of its own and passes on to the plain `port`; `seen` gets the names of the clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    plain, _ = server.accept()
                    thread = threading.Thread(target=serve, args=(plain,))
                    threads.append(thread)
                    thread.start()

        def serve(plain: socket.socket) -> None:
            plain.settimeout(20)
            with (
                plain,
                suppress(OSError),
                context.wrap_socket(plain, server_side=True) as near,
                socket.create_connection(("127.0.0.1", port), 5) as far,
            ):
                if seen is not None:
                    certificate = near.getpeercert(binary_form=True)
                    seen.append(certificates.in_der(certificate or b"").name)
                carry(near, far)

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            acceptor.join(5)
            for thread in threads:
                thread.join(5)


def carry(near: ssl.SSLSocket, far: socket.socket) -> None:
    """Both ways on one thread, since two must not use one TLS object at a time; until one side ends."""
    while True:
        ready = [near] if near.pending() else select.select([near, far], [], [], 20)[0]
        for source, sink in ((near, far), (far, near)):
            if source in ready:
                data = source.recv(65_536)
                if not data:
                    return
                sink.sendall(data)
