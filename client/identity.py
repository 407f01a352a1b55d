"""A device: number, Ed25519 key and stream. Signs, and shows nothing of the key.

This module must never know where the seed is kept.
"""

import attrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from client.records import IDENTITY, Write
from node.wire.limits import KEY_SIZE, STREAM_SIZE
from node.wire.login import login_message


@attrs.frozen
class Identity:
    """attempted: a registration with this key was sent to the node and its answer may have been lost."""

    user: int
    seed: bytes = attrs.field(repr=False)
    stream: bytes
    generation: int = 0
    attempted: bool = False

    def __attrs_post_init__(self) -> None:
        assert len(self.seed) == KEY_SIZE
        assert len(self.stream) == STREAM_SIZE

    @property
    def public_key(self) -> bytes:
        """The raw 32 bytes that the node stores."""
        return self._key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign_login(self, nonce: bytes, certificate_sha256: bytes) -> bytes:
        """The signature of `login`, over this connection's nonce and the server's certificate."""
        return self._key().sign(login_message(self.user, nonce, certificate_sha256))

    def write(self, role: str) -> Write:
        """Its row under `role`."""
        return IDENTITY, (role,), (self.user, self.seed, self.stream, self.generation, int(self.attempted))

    @classmethod
    def of_row(cls, row: tuple[int, bytes, bytes, int, int]) -> "Identity":
        """The device of a stored row."""
        user, seed, stream, generation, attempted = row
        return cls(user, seed, stream, generation, bool(attempted))

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)
