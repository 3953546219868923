"""Dates and names read out of certificates that openssl made, and out of bytes that are none."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tls_scene import Authority, openssl

from gateway.uplink.certificates import in_der, in_pem


def ts(*when: int) -> int:
    return round(datetime(*when, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc] # three to six parts


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def der(authority: Authority) -> bytes:
    return ssl.PEM_cert_to_DER_cert(authority.issue("der").cert.read_text())


def test_dates_of_this_century_and_of_later_ones_are_read(authority: Authority) -> None:
    early = authority.issue("early", begin="19990203040506Z", end="20491231235959Z").cert
    late = authority.issue("late", begin="20490101000000Z", end="20500101000001Z").cert
    (one,) = in_pem(early.read_bytes())
    assert (one.name, one.begins, one.until) == ("early", ts(1999, 2, 3, 4, 5, 6), ts(2049, 12, 31, 23, 59, 59))
    (other,) = in_pem(late.read_bytes())
    assert other.until == ts(2050, 1, 1, 0, 0, 1)


def test_dates_agree_with_pythons_where_python_can_tell_them(authority: Authority) -> None:
    (ca,) = in_pem(authority.ca.cert.read_bytes())
    (known,) = ssl.create_default_context(cafile=authority.ca.cert).get_ca_certs()
    assert ca.until == ssl.cert_time_to_seconds(str(known["notAfter"])) * 1000
    assert ca.begins == ssl.cert_time_to_seconds(str(known["notBefore"])) * 1000
    assert ca.name == "Test CA"


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("/O=Cold Stores/CN=gw1", "gw1"),
        ("/O=Cold Stores", "Cold Stores"),
        ("/C=DE", ""),
        ("/CN=仓库-1", "仓库-1"),
    ],
)
def test_a_certificate_is_called_by_its_common_name_or_its_organisation(
    subject: str, name: str, tmp_path: Path
) -> None:
    made = ("-keyout", tmp_path / "key", "-out", tmp_path / "cert", "-subj", subject, "-utf8", "-days", "9")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", *made)
    assert [one.name for one in in_pem((tmp_path / "cert").read_bytes())] == [name]


def test_every_certificate_of_a_file_is_read_whatever_stands_between_them(authority: Authority) -> None:
    text = authority.ca.cert.read_bytes()
    trusted = text.replace(b"BEGIN CERT", b"BEGIN TRUSTED CERT").replace(b"END CERT", b"END TRUSTED CERT")
    both = b"subject=CN = x\r\n" + text.replace(b"\n", b"\r\n") + authority.ca.key.read_bytes() + trusted
    assert [one.name for one in in_pem(both)] == ["Test CA", "Test CA"]
    assert in_pem(authority.ca.key.read_bytes()) == ()
    assert in_pem(text[:-60]) == (), "cut off"


@given(st.binary(max_size=200))
def test_bytes_that_are_no_certificate_are_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are not what counts
        in_der(data)


@given(st.data())
def test_a_damaged_certificate_is_read_or_refused(der: bytes, data: st.DataObject) -> None:
    damaged = bytearray(der)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(der)))])
    for made in (bytes(damaged), cut):
        try:
            in_der(made)
        except ValueError:
            continue
