"""The certificate that a node makes for itself."""

from __future__ import annotations

import hashlib
import ipaddress
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from node.hub.certificate import make_certificate
from node.hub.tls import load_tls


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "certificate.pem", tmp_path / "key.pem"


def test_what_it_says(paths):
    make_certificate(*paths, ("chat.example.org", "192.0.2.1"))
    made = x509.load_pem_x509_certificate(paths[0].read_bytes())
    key = made.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["chat.example.org"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("192.0.2.1")]
    made.verify_directly_issued_by(made)


def test_the_key_is_the_owners_only(paths):
    make_certificate(*paths)
    assert stat.S_IMODE(paths[1].stat().st_mode) == 0o600
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["certificate.pem", "key.pem"]


@pytest.mark.parametrize("which", [0, 1])
def test_nothing_is_overwritten(paths, which):
    paths[which].write_text("mine")
    with pytest.raises(FileExistsError, match="remove certificate and key together"):
        make_certificate(*paths)
    assert paths[which].read_text() == "mine"
    assert not paths[1 - which].exists()


def test_what_a_crash_left_is_no_hindrance(paths):
    paths[1].with_name("key.pem.part").write_text("half")
    make_certificate(*paths)
    assert load_tls(*paths)


def test_its_fingerprint(paths):
    make_certificate(*paths)
    der = x509.load_pem_x509_certificate(paths[0].read_bytes()).public_bytes(Encoding.DER)
    assert load_tls(*paths).certificate_sha256 == hashlib.sha256(der).digest()


def test_the_fingerprint_of_a_chain_is_that_of_its_first(paths, tmp_path):
    make_certificate(*paths)
    make_certificate(tmp_path / "other.pem", tmp_path / "other-key.pem")
    alone = load_tls(*paths).certificate_sha256
    with paths[0].open("a") as file:
        file.write((tmp_path / "other.pem").read_text())
    assert load_tls(*paths).certificate_sha256 == alone


def test_no_secret_in_the_repr(paths):
    make_certificate(*paths)
    assert "SSLContext" not in repr(load_tls(*paths))
