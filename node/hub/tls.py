"""TLS 1.3 as the hub uses it: the server's context, and the socket class that can be wrapped without surprises.

Must never know of connections or of the poll set; certificate.py makes the files that are loaded here.
"""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path
from typing import Any

import attrs

RECORD_BYTES_MAX = 16_384  # of plaintext in one TLS record (RFC 8446, section 5.1)


class ServerSocket(ssl.SSLSocket):
    """An SSLSocket that can always be made, also for a peer that has reset meanwhile.

    The standard class asks for the peer's name while it is constructed and, if there is none, raises with
    the descriptor in an object nobody holds; then a number may be closed and given out again in the middle
    of a batch of events. Here the reset shows in the handshake, as any other failure.
    """

    def getpeername(self) -> Any:
        return ("", 0)


@attrs.frozen
class ServerTls:
    """What a TLS listener needs. `certificate_sha256` (of the DER form) is what logins are bound to."""

    context: ssl.SSLContext = attrs.field(repr=False)
    certificate_sha256: bytes


def load_tls(certificate: Path, key: Path) -> ServerTls:
    """Load a PEM certificate (chain) and its key.

    Raises:
        OSError, ssl.SSLError: the files can't be read, or don't belong together.
        ValueError: the certificate isn't PEM, or the key has a passphrase.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # resumption gains nothing with P-256, and tickets cost memory
    context.sslsocket_class = ServerSocket
    context.load_cert_chain(certificate, key, password=_no_passphrase)
    pem = certificate.read_text("ascii")
    first = pem[pem.index("-----BEGIN CERTIFICATE") :]
    end = "-----END CERTIFICATE-----"
    der = ssl.PEM_cert_to_DER_cert(first[: first.index(end) + len(end)])
    return ServerTls(context, hashlib.sha256(der).digest())


def _no_passphrase() -> str:
    """OpenSSL would ask for it on the terminal, and wait."""
    raise ValueError("the key has a passphrase")
