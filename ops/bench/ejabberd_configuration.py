"""What ejabberd is configured with: modules of each profile, its port, a certificate.

It gets what costs it least: no traffic shaping, passwords that need no hashing, no XMPP extension beyond the profile's.
This module must never know how many nodes there are, nor what load is coming.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ops.bench.identities import XMPP_HOST

Profile = Literal["lean", "managed", "debian"]

_DEBIAN_MODULES: Final = (
    "adhoc announce avatar blocking caps carboncopy client_state configure disco last mqtt muc muc_admin pres_counter"
    " privacy private pubsub push push_keepalive roster s2s_dialback shared_roster sic stream_mgmt vcard vcard_xupdate"
    " version"
)
"""What the package's own configuration loads, but for mod_ping (it would send pings), mod_fail2ban, and what
serves other ports."""

_MODULES: Final[Mapping[Profile, str]] = MappingProxyType(
    {"lean": "", "managed": "stream_mgmt", "debian": _DEBIAN_MODULES}
)

_CONFIGURATION: Final = """\
loglevel: warning
hosts: ["{host}"]
certfiles: [{certificate}]
listen:
  - port: {port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    access: all
    shaper: none
    backlog: 1024
    max_stanza_size: 262144
    tls: {tls}
auth_method: [internal]
auth_password_format: plain
disable_sasl_mechanisms: [digest-md5, x-oauth2]
shaper_rules:
  max_user_offline_messages: infinity
modules:
  mod_offline:
    access_max_user_messages: max_user_offline_messages
{modules}"""


def configure(directory: Path, port: int, *, tls: bool, profile: Profile) -> Path:
    """Write the configuration and its certificate; gives the path of the former."""
    certificate, path = directory / "certificate.pem", directory / "ejabberd.yml"
    certificate.write_bytes(_self_signed())
    path.write_text(
        _CONFIGURATION.format(
            host=XMPP_HOST,
            port=port,
            certificate=certificate,
            tls=str(tls).lower(),
            modules="".join(f"  mod_{name}: {{}}\n" for name in _MODULES[profile].split()),
        )
    )
    return path


def _self_signed() -> bytes:
    """Key and certificate for the comparison over TLS: P-256, as a node makes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, XMPP_HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(XMPP_HOST)]), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)
