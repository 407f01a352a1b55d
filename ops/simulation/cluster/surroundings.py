"""What a node of a cluster is told of the world that it is in, and tells it. How a world is drawn isn't known here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from node.routing.settings import RoutingSettings
from ops.simulation.cluster.edge import EdgePhones
from ops.simulation.cluster.founding import Founding
from ops.simulation.cluster.keyring import KeyFiles
from ops.simulation.mail.node import MailSurroundings
from replication.membership.roster import Entry
from replication.membership.settings import MembershipSettings


class ClusterSurroundings(MailSurroundings, Protocol):
    """As of the world of mail, with clusters, links and phones at any node."""

    routing: RoutingSettings
    membership: MembershipSettings
    link_window: int
    clients_move: bool
    founding: Founding
    files: KeyFiles
    joined: dict[int, Sequence[Entry]]
    """What those were told who have joined."""
    gone: set[int]
    """Those who have left."""
    phones: EdgePhones
    ends: bool
    """Whether nodes find out about processes that ended."""

    def refuses(self, node: int, peer: int) -> bool | None:
        """Whether a node is refused where a peer listens; None: nobody answers."""
        ...

    @property
    def known(self) -> int:
        """Users up to this one have accounts; others register."""
        ...

    def pin_sent(self, user: int, pin: str) -> None:
        """A PIN is on its way to a number."""
        ...

    def removed(self, node: int) -> None:
        """A node has left."""
        ...

    def operated(self, at: int, what: str, arguments: tuple[Any, ...], outcome: Any) -> None:
        """What an operator was told."""
        ...
