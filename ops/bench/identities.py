"""Who the benchmark's users are: user index → phone number, device key, stream, XMPP name.

All of it is derived from the index, so that coordinator and generators agree without telling one another. Such
keys are good for a benchmark on loopback and for nothing else. This module must never touch a socket.
"""

from hashlib import blake2b
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_FIRST_NUMBER: Final = 1_555_000_0000
XMPP_HOST: Final = "localhost"
XMPP_PASSWORD: Final = "waystation"  # noqa: S105  # of accounts that live for one run on loopback


def number_of(index: int) -> int:
    """The E.164 number of a user."""
    return _FIRST_NUMBER + index


def index_of(number: int) -> int:
    """The user with this number."""
    return number - _FIRST_NUMBER


def device_key(index: int) -> Ed25519PrivateKey:
    """The key that signs this user's logins."""
    return Ed25519PrivateKey.from_private_bytes(seed_of(index))


def seed_of(index: int) -> bytes:
    """What `device_key` is made of."""
    return blake2b(index.to_bytes(8, "big"), digest_size=32, person=b"bench key").digest()


def public_key(index: int) -> bytes:
    """The 32 bytes that the node keeps of `device_key`."""
    return device_key(index).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def stream_of(index: int) -> bytes:
    """The stream of this user's only device."""
    return blake2b(index.to_bytes(8, "big"), digest_size=8, person=b"bench stream").digest()


def xmpp_name(index: int) -> str:
    """The local part of a user's XMPP address."""
    return f"u{index}"
