"""Which members hold a partition of a group, in order: primary, heir, spares. Everybody computes the same. Pure.

Rendezvous hashing over the *configured* members, never over those believed alive (D. Thaler, C. Ravishankar, "Using
Name-Based Mappings to Increase Hit Rates", IEEE/ACM Transactions on Networking 6(1), 1998): each member draws a
number for each partition, the highest is first. So a member that comes or goes moves only its own share. With weights
a member draws -w / ln(h), h uniform in (0, 1), and is first with probability w / (sum of all) (J. Resch, "New Hashing
Algorithms for Data Storage", SNIA Storage Developer Conference 2015).

The hash is keyed with the cluster's secret and has a name of its own, so it is independent of the hashes that choose
partitions, workers and buckets (see `placement`). blake2b takes 1.0 µs a draw, xxh3 0.2, which no start would notice:
six groups of 1,024 partitions on ten nodes are 61,440 draws.

Nodes that disagreed would contend for partitions. So nothing depends on a platform's floating point: equal weights are
compared as integers, others as floats only where those are far enough apart, and else as decimals.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from hashlib import blake2b
from itertools import pairwise
from types import MappingProxyType

import attrs

from replication.placement import SECRET_SIZE

MEMBERS_MAX = 1_000
WEIGHT_MAX = 10_000
RANKED_KEPT_MAX = 200_000
"""Orders that are remembered: three groups of 65,536 partitions, or 195 of 1,024. Beyond it all are computed anew."""
NEAR = 1e-9
"""Relative difference of floats below which decimals decide; no C library's log is wrong by a thousandth of it."""
EXACT = Context(prec=40, rounding=ROUND_HALF_EVEN)
SPACE = 1 << 64


@attrs.frozen(order=False)
class Member:
    """A configured node. server: what fails together bears the same label; rack: what does at a larger scale, "" where
    nobody has said it. weight: its share, relative to others."""

    node: bytes
    server: str
    weight: int = 100
    rack: str = ""

    def __attrs_post_init__(self) -> None:
        if not self.node or not self.server:
            raise ValueError("a member has the id of a node and the label of a server")
        if not 1 <= self.weight <= WEIGHT_MAX:
            raise ValueError(f"a member's weight is {self.weight}: choose a value from 1 to {WEIGHT_MAX}")


@attrs.frozen
class ByHand:
    """A group's copies as somebody named them. Nodes that aren't configured are passed over.

    in_order: every partition has the first as its primary, the second as its heir and so on. Otherwise the partitions
    are spread over these nodes as they would be over all.
    """

    nodes: tuple[bytes, ...]
    in_order: bool = True

    def __attrs_post_init__(self) -> None:
        if not self.nodes or len(set(self.nodes)) != len(self.nodes):
            raise ValueError("copies that are placed by hand are on one or several different nodes")


class Ranking:
    """The order of the members for each partition of each group. Never changes: other members are another ranking."""

    __slots__ = ("_equal", "_hash", "_kept", "by_hand", "members")

    def __init__(
        self, secret: bytes, members: Iterable[Member], by_hand: Mapping[str, ByHand] = MappingProxyType({})
    ) -> None:
        if len(secret) != SECRET_SIZE:
            raise ValueError(f"a cluster's secret has {SECRET_SIZE} bytes, not {len(secret)}")
        self.members = tuple(sorted(members, key=lambda member: member.node))
        if len({member.node for member in self.members}) != len(self.members):
            raise ValueError("a node is a member twice")
        if not 0 < len(self.members) <= MEMBERS_MAX:
            raise ValueError(f"{len(self.members)} members: a cluster has 1 to {MEMBERS_MAX}")
        self.by_hand = dict(by_hand)
        self._hash = blake2b(digest_size=8, key=secret, person=b"ws-ranking")
        self._equal = len({member.weight for member in self.members}) == 1
        self._kept: dict[tuple[str, int], tuple[bytes, ...]] = {}

    def ranked(self, group: str, partition: int) -> tuple[bytes, ...]:
        """All members that may hold this partition: primary, heir, spares.

        As many racks as there are come before any rack comes twice, and as many servers as there are before any server
        does. Unpartitioned groups have partition 0.
        """
        order = self._kept.get((group, partition))
        if order is None:
            if len(self._kept) >= RANKED_KEPT_MAX:
                self._kept.clear()
            order = self._kept[group, partition] = self._order(group, partition)
        return order

    def holders(self, group: str, partition: int, copies: int) -> tuple[bytes, ...]:
        """The first `copies` of them, or as many as there are."""
        return self.ranked(group, partition)[:copies]

    def _order(self, group: str, partition: int) -> tuple[bytes, ...]:
        hand = self.by_hand.get(group)
        members = self.members
        if hand is not None:
            if hand.in_order:
                configured = {member.node for member in members}
                return tuple(node for node in hand.nodes if node in configured)
            members = tuple(member for member in members if member.node in hand.nodes)
        return _spread(self._sorted(group, partition, members))

    def _sorted(self, group: str, partition: int, members: tuple[Member, ...]) -> list[Member]:
        name = group.encode() + b"\0" + partition.to_bytes(4, "big")
        drawn = [(self._draw(name + member.node), member) for member in members]
        if self._equal:
            drawn.sort(key=lambda pair: (-pair[0], pair[1].node))
            return [member for _, member in drawn]
        rough = sorted((roughly(h, member.weight), member.node, member) for h, member in drawn)
        if all(b[0] - a[0] > NEAR * b[0] for a, b in pairwise(rough)):
            return [member for _, _, member in rough]
        exact = sorted((exactly(h, member.weight), member.node, member) for h, member in drawn)
        return [member for _, _, member in exact]

    def _draw(self, name: bytes) -> int:
        digest = self._hash.copy()
        digest.update(name)
        return int.from_bytes(digest.digest(), "big")


def roughly(drawn: int, weight: int) -> float:
    """ln(h) / -w with h = (drawn + 1/2) / 2**64: the smallest is what has the highest -w / ln(h)."""
    above = 2 * drawn + 1
    if drawn < SPACE // 2:
        return -math.log(above / (2 * SPACE)) / weight
    return -math.log1p(-(2 * SPACE - above) / (2 * SPACE)) / weight  # near 1 a float would forget what h is


def exactly(drawn: int, weight: int) -> Decimal:
    """The same, of 40 digits, each correctly rounded (M. Cowlishaw, "General Decimal Arithmetic Specification")."""
    uniform = EXACT.divide(Decimal(2 * drawn + 1), Decimal(2 * SPACE))
    return EXACT.divide(EXACT.ln(uniform), Decimal(-weight))


def _spread(members: list[Member]) -> tuple[bytes, ...]:
    """The best member of each server, then the second best of each that has one, and so on. Of those that are the first
    (second, …) of their servers the best of each rack comes first, and so on. What is left is in their order.

    A server in no rack that was named stands alone, as if it were a rack. Servers count for more than racks: a label of
    a rack that is wrong or new doesn't bring two copies onto one server.
    """
    of_server: Counter[str] = Counter()
    of_rack: Counter[tuple[int, str, str]] = Counter()
    keyed = []
    for member in members:
        of_server[member.server] += 1
        turn = of_server[member.server]
        rack = (turn, member.rack, "" if member.rack else member.server)
        of_rack[rack] += 1
        keyed.append((turn, of_rack[rack], member.node))
    return tuple(node for _, _, node in sorted(keyed, key=lambda one: one[:2]))
