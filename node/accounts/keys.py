"""Device keys: which 32 bytes are taken as an Ed25519 public key, and whether a signature is by one.

OpenSSL loads any 32 bytes as a public key, and verifies some forged signatures under keys of low order and
under encodings that RFC 8032 (5.1.3) forbids. Such a key would let anyone log in, so it's refused when a
device registers. Keys are parsed at each login: that takes 1 µs of the 105 µs that a verification takes, so
a cache of parsed keys was not worth its memory.

This module must never see a private key.
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.wire.limits import KEY_SIZE

_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
_Y_OF_ORDER_8: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
"""The 8 points of order 1, 2, 4 and 8 have these y: 1, -1, 0 and plus or minus this one."""
_LOW_ORDER: Final = frozenset({0, 1, _P - 1, _Y_OF_ORDER_8, _P - _Y_OF_ORDER_8})


def is_device_key(key: bytes) -> bool:
    """Whether these bytes are the canonical encoding of a curve point that isn't of low order (90 µs)."""
    if len(key) != KEY_SIZE:
        return False
    y = int.from_bytes(key, "little") & (1 << 255) - 1  # the top bit is the sign of x
    if y >= _P or y in _LOW_ORDER:
        return False
    # x² = u/v has a root exactly if u·v is a square (Euler's criterion; v is never 0, for -1/d is no square)
    u, v = y * y - 1, _D * y * y + 1
    return pow(u * v % _P, (_P - 1) // 2, _P) == 1


def verify(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the holder of `key`'s private half signed `message`. About 105 µs, whichever the answer is."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True
