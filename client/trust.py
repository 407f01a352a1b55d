"""How the client knows that the server is the right one: an authority, a fingerprint, the first use, or not at all.

The login signature covers the certificate seen (see `node.wire.login`), so even where a wrong certificate is taken
at first use, a server in the middle can't log in as this device. This module must never know how bytes travel.
"""

import hmac
import os
import re
import ssl
from hashlib import sha256

import attrs

from client.errors import BadServer, ServerNotTrusted


@attrs.frozen
class Server:
    """Where the node is."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Server":
        """From "host:port" or "[address]:port".

        Raises:
            BadServer: it is neither.
        """
        match = re.fullmatch(r"(?:\[([0-9a-fA-F:.%\w]+)\]|([^:\[\]\s]+)):(\d{1,5})", text)
        if match is None or not 1 <= int(match[3]) <= 65_535:
            raise BadServer(f"{text!r} is no address")
        return cls(match[1] or match[2], int(match[3]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_fingerprint(value: str | bytes) -> bytes:
    """32 bytes from hex with or without colons.

    Raises:
        ServerNotTrusted: it isn't a SHA-256 fingerprint, so nothing can be trusted by it.
    """
    if isinstance(value, bytes):
        found = value
    else:
        try:
            found = bytes.fromhex(value.replace(":", " "))
        except ValueError:
            found = b""
    if len(found) != 32:
        raise ServerNotTrusted("the fingerprint given is not 32 bytes in hex")
    return found


@attrs.frozen
class Plain:
    """No TLS. For tests, and inside a tunnel that does it."""


@attrs.frozen
class Authority:
    """TLS; the certificate is of the server's name, by this authority (a PEM file) or by the system's."""

    file: str | os.PathLike[str] | None = None


@attrs.frozen
class Fingerprint:
    """TLS; the certificate is this one: SHA-256 of its DER bytes, as hex (colons allowed) or as 32 bytes. It is
    remembered for FirstUse, so a changed certificate has to be vouched for once."""

    sha256: bytes = attrs.field(converter=parse_fingerprint)


@attrs.frozen
class FirstUse:
    """TLS; the certificate seen first is remembered in the state, and every later one must be the same."""


Trust = Plain | Authority | Fingerprint | FirstUse


def show_fingerprint(fingerprint: bytes) -> str:
    """As openssl shows it."""
    return fingerprint.hex(":").upper()


def tls_context(trust: Authority | Fingerprint | FirstUse) -> ssl.SSLContext:
    """What the handshake checks. With a fingerprint the handshake checks nothing: `check_certificate` does.

    Raises:
        ServerNotTrusted: the authority's file can't be read.
    """
    if isinstance(trust, Authority):
        try:
            context = ssl.create_default_context(cafile=trust.file)
        except (OSError, ssl.SSLError) as error:
            raise ServerNotTrusted(f"the authority's file {trust.file}: {error}") from error
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def check_certificate(trust: Authority | Fingerprint | FirstUse, known: bytes | None, der: bytes) -> bytes:
    """The certificate's SHA-256, if it may be trusted.

    Args:
        known: for FirstUse, what was remembered; None the first time.

    Raises:
        ServerNotTrusted: it is another one.
    """
    seen = sha256(der).digest()
    wanted = trust.sha256 if isinstance(trust, Fingerprint) else known
    if isinstance(trust, Authority) or wanted is None or hmac.compare_digest(seen, wanted):
        return seen
    raise ServerNotTrusted(
        f"the server's certificate is {show_fingerprint(seen)}, not {show_fingerprint(wanted)} as before"
        if isinstance(trust, FirstUse)
        else f"the server's certificate is {show_fingerprint(seen)}, not {show_fingerprint(wanted)}"
    )
