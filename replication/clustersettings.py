"""What a member of a cluster is told: its directory, who the others are, and the limits of each part. Values only."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Final

import attrs

from replication.core.settings import ReplicaSettings
from replication.detectorstate import DetectorSettings
from replication.membership.settings import MembershipSettings
from replication.zeromq.settings import LinkSettings
from store.limits import StoreSettings

SPEAKS: Final = (1, 3)
"""The versions of what nodes say that this release understands. 2: claims are spread by relays (`core.spreading`).
3: partitions are pledged to claims (`core.pledging`)."""


def node_of(key: str) -> bytes:
    """The id of a node that was given none: eight bytes that its public key (Z85) gives."""
    return blake2b(key.encode(), digest_size=8, person=b"ws-node").digest()


@attrs.frozen
class Neighbour:
    """A configured member: its public key (Z85), where its control link is, its server's label, its weight, and its id,
    if that isn't the one that its key gives."""

    key: str
    address: str
    server: str = ""
    weight: int = 100
    id: bytes = b""

    @property
    def node(self) -> bytes:
        """Its id."""
        return self.id or node_of(self.key)


STORE: Final = StoreSettings(linger_ms=0, batch_rows=20_000)
"""What comes is gathered already, over each pass here and each frame of a peer's, so a commit waits for no company; and
the more of a backlog is in one commit, the fewer pages it writes for each record."""


@attrs.frozen(kw_only=True)
class ClusterSettings:
    """Everything that a member is told.

    Args:
        data: its directory: the store, and the file of its keys.
        name: the cluster's; all members must name the same.
        members: those that are configured, this one too; whatever the roster on the disk says of them stands over it. A
            node that has joined names none.
        node: this node's id; b"": the one that its key gives.
        secret: of the cluster, 32 bytes; b"": made of its name, for clusters whose members are all configured.
        speaks: the lowest and the highest version of what nodes say; others than this release's in tests only.
        release: what this release is called, as operators know it.
    """

    data: Path
    name: str
    members: tuple[Neighbour, ...] = ()
    node: bytes = b""
    secret: bytes = attrs.field(default=b"", repr=False)
    speaks: tuple[int, int] = SPEAKS
    release: str = ""
    membership: MembershipSettings = attrs.Factory(MembershipSettings)
    replica: ReplicaSettings = attrs.Factory(ReplicaSettings)
    detector: DetectorSettings = attrs.Factory(DetectorSettings)
    links: LinkSettings = attrs.Factory(LinkSettings)
    store: StoreSettings = STORE
