"""What whoever runs a member of a cluster within something larger implements: passes, groups of its own, channels.

A node that serves phones touches its cores only within a pass, and writes what was gathered when the pass ends. So
everything that a cluster's own tasks hand to cores is handed over between `begin` and `end`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from replication.carrier import Listener


class Host(Protocol):
    """Around everything that the cluster's tasks do: what came over links, ticks, changes of peers' states."""

    def begin(self) -> None:
        """A pass begins; within another one it is a part of that. Set the time of cores here."""
        ...

    def end(self) -> None:
        """It ends; the outermost end drains cores and writes what was gathered."""
        ...


class NoHost:
    """There is nothing around."""

    __slots__ = ()

    def begin(self) -> None:
        """Nothing to prepare."""

    def end(self) -> None:
        """Nothing to carry out."""


class Hosted(Listener, Protocol):
    """What becomes of the partitions of one group, for a host that keeps something of them in memory. Called within a
    pass, while effects are carried out."""

    def claimed(self, partition: int) -> None:
        """The claim that this node knows is another one: its own, or anybody's."""
        ...


class Channel(Protocol):
    """Messages of the host's own between nodes, over links of their own, beside those of groups. Called within a pass.

    A message is a short list that begins with an int; whether it makes sense is for the channel to find out
    (`Cluster.reset` if not).
    """

    def received(self, peer: bytes, message: list[Any]) -> None:
        """In the order in which the peer sent it on this channel."""
        ...

    def connected(self, peer: bytes) -> None:
        """From now on `Cluster.send` reaches the peer."""
        ...

    def disconnected(self, peer: bytes) -> None:
        """No longer. What was sent last may be lost."""
        ...


Listen = Callable[[Any], Hosted]
"""Makes the host's part of a group, given the `ReplicatedGroup`; before anything is served."""
