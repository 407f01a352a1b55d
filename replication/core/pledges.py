"""Pledges of one partition, as a node holds them. Classes of state only: the logic is in `pledging` and `keepers`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from replication.claim import Rank

HAS_MAX: Final = 16
"""Claims of which a member remembers, one by one, that its copy has what was given out under them."""


class Pledge:
    """To which claim this node has pledged a partition, and what its copy has of what was given out."""

    __slots__ = ("covers", "has", "heir", "last", "said")

    def __init__(self) -> None:
        self.last: Rank | None = None  # the claim
        self.heir: bytes | None = None  # … its heir
        self.said: Rank | None = (
            None  # … up to which its primary said that all complete copies have everything
        )
        self.covers: Rank | None = None  # the copy has what was given out under all claims up to this one
        self.has: tuple[Rank, ...] = ()  # … and under these

    def learn(self, ranks: Iterable[Rank]) -> None:
        """The copy has what was given out under these claims, too."""
        self.has = tuple(dict.fromkeys((*ranks, *self.has)))[:HAS_MAX]


class Heard:
    """What a member has answered that was asked for its pledge."""

    __slots__ = ("covers", "has", "heir", "last", "partings", "peer", "taken")

    def __init__(
        self,
        peer: object,
        partings: int,
        last: Rank,
        heir: bytes | None,
        covers: Rank | None,
        has: tuple[Rank, ...],
    ) -> None:
        self.peer = peer
        self.partings = partings  # of it, then
        self.last = last  # to what it is bound, and the heir of that claim
        self.heir = heir
        self.covers = covers  # what its copy has
        self.has = has
        self.taken = False  # what its copy has is here


class Pledging:
    """How it stands with the pledges to a claim of this node."""

    __slots__ = ("after", "asked_at", "heard", "pledged", "stands", "storing")

    def __init__(self, after: int) -> None:
        self.after = after  # who has what was here at this sequence has what this copy is known to have
        self.asked_at = 0  # when somebody wanted them last
        self.heard: dict[bytes, Heard] = {}
        self.pledged: set[bytes] = set()
        self.stands = False  # they were a majority
        self.storing = False  # this node's own pledge is being made durable
