"""User → partition, by a hash that is keyed, for the users' numbers are chosen by others.

Independent of the hashes of workers and buckets: where the same hash chose both partition and bucket, chains of 2,000
were seen instead of 7 (Rick Reed, "That's 'Billion' with a 'B'", Erlang Factory 2014).
"""

from hashlib import blake2b

PARTITIONS = 1_024
"""Fixed when a cluster is created."""
SECRET_SIZE = 32


class Placement:
    """Where users belong. Pure; the same everywhere in a cluster."""

    __slots__ = ("_key", "partitions")

    def __init__(self, secret: bytes, partitions: int = PARTITIONS) -> None:
        if len(secret) != SECRET_SIZE:
            raise ValueError(f"a cluster's secret has {SECRET_SIZE} bytes, not {len(secret)}")
        if not 0 < partitions <= 65_536:
            raise ValueError(f"{partitions} partitions: choose 1 to 65536")
        self._key = secret
        self.partitions = partitions

    def partition_of(self, user: int) -> int:
        """0 … partitions - 1. Raises OverflowError for what is not a user (below 0 or of more than 8 bytes)."""
        digest = blake2b(
            user.to_bytes(8, "big"), digest_size=8, key=self._key, person=b"ws-partition"
        ).digest()
        return int.from_bytes(digest, "big") % self.partitions
