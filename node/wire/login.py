"""The bytes that a device signs to log in, made the same way on both sides.

The signature proves that the device holds the registered key, now (the nonce is of this connection), for this
account, and to this server (the certificate that the device saw): a server in the middle can't pass it on.
The channel binding is that of RFC 5929, `tls-server-end-point`, with SHA-256. This module must never hold a
private key.
"""

from typing import Final

from node.wire.limits import CERTIFICATE_HASH_SIZE, NONCE_SIZE, USER_MAX

_DOMAIN: Final = b"waystation login 1\x00"
"""No other use of the device key signs bytes that start like this."""


def login_message(user: int, nonce: bytes, certificate_sha256: bytes) -> bytes:
    """What `login` signs, and the node verifies.

    Args:
        user: the number that logs in.
        nonce: the 32 bytes of this connection's server hello.
        certificate_sha256: SHA-256 of the server's DER certificate as the device saw it; empty on plain TCP.

    Raises:
        ValueError: an argument has another size; that is a mistake of the caller.
    """
    if not 1 <= user <= USER_MAX:
        raise ValueError(f"user must be 1..{USER_MAX}")
    if len(nonce) != NONCE_SIZE:
        raise ValueError(f"nonce must be {NONCE_SIZE} bytes")
    if len(certificate_sha256) not in (0, CERTIFICATE_HASH_SIZE):
        raise ValueError(f"certificate_sha256 must be empty or {CERTIFICATE_HASH_SIZE} bytes")
    return b"".join(
        (_DOMAIN, user.to_bytes(8, "big"), nonce, bytes((len(certificate_sha256),)), certificate_sha256)
    )
