"""The world of clusters that know one another: as that of one, and whole clusters are cut off, gateways die, and
partitions go from one cluster to another while their users talk."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar, Final

from ops.simulation.checkers.base import Checker, Violation
from ops.simulation.checkers.farlinks import FarLinks
from ops.simulation.checkers.owned import Owned
from ops.simulation.cluster.drawing import (
    PARTITIONS,
    clogs,
    ends,
    filters,
    knobs,
    mishaps,
    newcomers,
    rotations,
)
from ops.simulation.cluster.scenario import Cluster
from ops.simulation.mail.node import GROUP
from ops.simulation.plan import Plan, Step
from ops.simulation.world import World
from replication.membership.owner import Owner

LABELS: Final = ("east", "north", "south")
LASTING_MS: Final = (100, 400, 1_500)
"""How long a cluster is cut off, or its gateways are down, about."""

LEAVE_MS: Final = 300
"""What another cluster owns is emptied after it, and the link over which it came rests."""


class Clusters(Cluster):
    """One run of it."""

    name: ClassVar[str] = "clusters"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        first = {row.partition: row.cluster for row in self.founding.rows if isinstance(row, Owner)}
        self._at_rest: Sequence[Checker] = (
            Owned(self.belonging, self.founding.label, GROUP, first),
            FarLinks(
                lambda: world.clock.now,
                self.belonging,
                self.founding.label,
                self._sessions_at,
                GROUP,
                PARTITIONS,
            ),
        )

        self.checkers = (*self.checkers, *self._at_rest)

    def _unsettled(self) -> str:
        """Moves to another cluster, and links that rest, take as long as they take."""
        words = super()._unsettled()
        try:
            for checker in self._at_rest if not words else ():
                checker.verdict(self.disks)
        except Violation as violation:
            return violation.words
        return words

    def restless(self) -> str:
        """What hasn't ended. If it is only what is judged at rest that doesn't hold, that is what is broken."""
        if not super()._unsettled():
            for checker in self._at_rest:
                checker.verdict(self.disks)
        return super().restless()

    def _sessions_at(self) -> list[tuple[int, int]]:
        """(partition, node) of each phone that is connected."""
        phones = self._by_user.values()
        return [(self.partition_of(one.user), one.session.node) for one in phones if one.session is not None]

    @classmethod
    def draw(cls, seed: int, nodes: int | None, steps: int) -> Plan:
        """Knobs, messages and faults."""
        hand = random.Random(f"clusters {seed}")
        nodes = max(2, nodes or hand.choice((3, 4, 4, 5, 6)))
        several = LABELS if nodes > 4 and hand.random() < 0.3 else LABELS[1:]
        labels = _labels(hand, nodes, several)
        drawn = mishaps(hand, nodes, steps)
        done, end = drawn.steps, drawn.end
        founders = nodes - (len(several) < nodes and hand.random() < 0.3)
        if founders < nodes:
            done += [Step(hand.randrange(end + 1), "join", (founders, node)) for node in range(3)]
        done += _assignments(hand, several, founders, end)
        done += _cuts(hand, labels, end)
        done += rotations(hand, founders, done, end)
        come, some = newcomers(hand, end)
        done += some
        done += clogs(seed, nodes, end)
        done += filters(seed, nodes, end)
        done.sort(key=lambda step: step.at)
        set_so = knobs(hand) | ends(seed)
        set_so["membership"] |= {"far_idle_ms": hand.choice((200, 400, 1_000)), "calm_ms": 100}
        set_so["replica"]["leave_ms"] = LEAVE_MS
        return Plan(
            cls.name,
            seed,
            nodes,
            {**set_so, "founders": founders, "labels": labels, "newcomers": come},
            tuple(done),
        )


def _labels(hand: random.Random, nodes: int, several: Sequence[str]) -> list[str]:
    """A node's cluster each; of every cluster one is among the first."""
    first = hand.sample(several, len(several))
    return first + [hand.choice(several) for _ in range(nodes - len(several))]


def _assignments(hand: random.Random, several: Sequence[str], founders: int, end: int) -> list[Step]:
    """Partitions that another cluster is to own; sometimes two operators want different things at once."""
    found = []
    for _ in range(hand.choice((0, 1, 2, 4))):
        at = hand.randrange(end + 1)
        some = hand.sample(range(PARTITIONS), hand.choice((1, 3, PARTITIONS)))
        for again in range(hand.choice((1, 1, 2))):
            when = at + again * hand.choice((0, 10, 100))
            found.append(Step(when, "assign", (some, hand.choice(several), hand.randrange(founders))))
    return found


def _cuts(hand: random.Random, labels: Sequence[str], end: int) -> list[Step]:
    """A whole cluster that is cut off, and gateways that die."""
    found: list[Step] = []
    lasting = hand.choice(LASTING_MS)
    for _ in range(hand.choice((0, 0, 1, 2))):
        label, at = hand.choice(labels), hand.randrange(end + 1)
        side = [node for node, one in enumerate(labels) if one == label]
        found += [Step(at, "split", (side,)), Step(at + 1 + int(hand.expovariate(1 / lasting)), "heal")]
    for _ in range(hand.choice((0, 0, 1))):
        label, at = hand.choice(labels), hand.randrange(end + 1)
        gateways = [node for node, one in enumerate(labels) if one == label][:2]
        for node in gateways:
            back = at + 1 + int(hand.expovariate(1 / lasting))
            found += [Step(at, "crash", (node,)), Step(back, "start", (node,))]
    return found
