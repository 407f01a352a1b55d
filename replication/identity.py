"""The cluster's secret and the node's own id, made when a data directory is first opened.

Both live in the store, so that a backup is whole: with another secret every user would fall into another partition.
"""

import secrets

import attrs

from replication.placement import PARTITIONS, SECRET_SIZE
from store.group import OpenGroup
from store.writes import PUT


class DamagedIdentity(Exception):
    """The identity in the store is incomplete. Restore the directory from a backup."""


@attrs.frozen
class Identity:
    """secret: keys the hashes that place users. node: a random id, the same for the life of the directory."""

    secret: bytes = attrs.field(repr=False)
    node: bytes
    partitions: int


def read_identity(group: OpenGroup) -> Identity | None:
    """The identity in the store, None in a new one.

    Raises:
        DamagedIdentity
    """
    table = group.table("identity")
    secret, node, partitions = (table.get((name,)) for name in ("secret", "node", "partitions"))
    if secret is None and node is None and partitions is None:
        return None
    if secret is None or node is None or partitions is None:
        raise DamagedIdentity(
            f"the identity in {group.name!r} is incomplete: restore the data directory from a backup"
        )
    return Identity(secret, node, partitions)


async def ensure_identity(group: OpenGroup) -> Identity:
    """The identity in the store, made and durable if there was none. Results of the store must be being delivered."""
    identity = read_identity(group)
    if identity is None:
        identity = Identity(secrets.token_bytes(SECRET_SIZE), secrets.token_bytes(8), PARTITIONS)
        number = group.table("identity").id
        await group.commit(
            [
                (PUT, number, ("secret",), identity.secret),
                (PUT, number, ("node",), identity.node),
                (PUT, number, ("partitions",), identity.partitions),
            ]
        )
    return identity
