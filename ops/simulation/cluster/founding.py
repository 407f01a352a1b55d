"""How the clusters of a world begin: who the first nodes are, of which cluster, and what each cluster owns.

One cluster alone is configured, as where all members are named in a file. Where there are several, each node's disk
has the rows from which they know one another.
"""

from __future__ import annotations

from collections.abc import Sequence

from ops.simulation.cluster.belonging import address_of, server_of
from ops.simulation.cluster.keyring import key_of
from ops.simulation.tables.claims import name_of
from replication.clustersettings import SPEAKS, Neighbour
from replication.membership.member import Member
from replication.membership.owner import Owner
from replication.membership.roster import Entry


class Founding:
    """Of one world.

    Args:
        labels: of each node's cluster, also of those that join later; all the same where there is one.
        founders: how many nodes there are at first.
        servers: how many, of which each node is on one.
    """

    def __init__(self, labels: Sequence[str], founders: int, servers: int, partitions: int) -> None:
        self.labels = tuple(labels)
        self.servers = servers
        self.several = len(set(labels)) > 1
        self._founders = founders
        self.configured: tuple[Neighbour, ...] = ()
        self.rows: tuple[Entry, ...] = ()
        if self.several:
            self.rows = (*map(self._member, range(founders)), *map(self._owner, range(partitions)))
        else:
            self.configured = tuple(map(self._neighbour, range(founders)))

    def has(self, number: int) -> bool:
        """Whether a node is there from the beginning."""
        return number < self._founders

    def label(self, number: int) -> str:
        """Of a node's cluster."""
        return self.labels[number]

    def _neighbour(self, number: int) -> Neighbour:
        server = server_of(number, self.servers)
        return Neighbour(key_of(number), address_of(number), server, id=name_of(number))

    def _member(self, number: int) -> Member:
        return Member(
            node=name_of(number),
            counter=1,
            editor=name_of(0),
            key=key_of(number),
            address=address_of(number),
            server=server_of(number, self.servers),
            cluster=self.labels[number],
            speaks=SPEAKS,
        )

    def _owner(self, p: int) -> Owner:
        clusters = sorted(set(self.labels))
        return Owner(partition=p, cluster=clusters[p % len(clusters)], counter=1, editor=name_of(0))
