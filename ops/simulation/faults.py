"""Which faults come when: the part of a plan that all worlds share.

Every seed has a mood of its own: which faults it knows and how often they come. Most faults end by themselves a while
later, by a step that is in the plan, too. Node names are numbers from 0.
"""

from __future__ import annotations

import random
from types import MappingProxyType
from typing import Any, Final

from ops.simulation.disk import CommitFault
from ops.simulation.plan import Step

IMAGES: Final = 3
"""Old images that are kept of each node's disk."""

FAULTS: Final = MappingProxyType(
    {
        "crash": 6.0,
        "power": 0.7,
        "commit_fault": 3.0,
        "pause": 3.0,
        "cut": 4.0,
        "split": 3.0,
        "weather": 4.0,
        "jump": 1.0,
        "full": 1.0,
        "slow": 2.0,
        "image": 2.0,
        "restore": 0.6,
        "wipe": 0.3,
    }
)
"""Kinds and how often each comes in proportion."""


class Faults:
    """Draws faults for one world."""

    def __init__(self, hand: random.Random, nodes: int) -> None:
        self.hand = hand
        self.nodes = nodes
        mood = hand.random()
        kinds = dict(FAULTS)
        if nodes == 1:
            for kind in ("cut", "split", "weather"):
                del kinds[kind]
        if mood < 0.05:
            kinds = {}
        elif mood < 0.6:  # a few kinds only: others would mask what these do
            kinds = {kind: kinds[kind] for kind in sorted(hand.sample(sorted(kinds), hand.randint(1, 4)))}
        self._kinds = list(kinds)
        self._weights = list(kinds.values())
        self.share = hand.choice((0.02, 0.05, 0.1, 0.2)) if kinds else 0.0
        """How many of a plan's steps are faults."""
        self.lasting = hand.choice((100, 400, 1_500))
        """Milliseconds that a fault lasts, about."""

    def draw(self, at: int) -> list[Step]:
        """One fault and, mostly, its end."""
        kind = self.hand.choices(self._kinds, self._weights)[0]
        drawn: list[Step] = getattr(self, f"_{kind}")(at)
        return drawn

    def _node(self) -> int:
        return self.hand.randrange(self.nodes)

    def _later(self, at: int) -> int:
        return at + 1 + int(self.hand.expovariate(1 / self.lasting))

    def _crash(self, at: int) -> list[Step]:
        node = self._node()
        return [Step(at, "crash", (node,)), Step(self._later(at), "start", (node,))]

    def _power(self, at: int) -> list[Step]:
        back = [Step(self._later(at), "start", (node,)) for node in range(self.nodes)]
        return [Step(at, "crash", (node,)) for node in range(self.nodes)] + back

    def _commit_fault(self, at: int) -> list[Step]:
        node = self._node()
        fault = self.hand.choice(list(CommitFault))
        return [Step(at, "commit_fault", (node, fault.name)), Step(self._later(at), "start", (node,))]

    def _pause(self, at: int) -> list[Step]:
        node = self._node()
        return [Step(at, "pause", (node,)), Step(self._later(at), "resume", (node,))]

    def _cut(self, at: int) -> list[Step]:
        a, b = self.hand.sample(range(self.nodes), 2)
        steps = [Step(at, "cut", (a, b)), Step(self._later(at), "mend", (a, b))]
        if self.hand.random() < 0.3:
            steps += [Step(at, "cut", (b, a)), Step(self._later(at), "mend", (b, a))]
        return steps

    def _split(self, at: int) -> list[Step]:
        side = sorted(self.hand.sample(range(self.nodes), self.hand.randint(1, self.nodes - 1)))
        return [Step(at, "split", (side,)), Step(self._later(at), "heal")]

    def _weather(self, at: int) -> list[Step]:
        hand = self.hand
        a, b = hand.sample(range(self.nodes), 2)
        low = hand.choice((1, 1, 2, 20))
        bad: tuple[Any, ...] = (
            hand.choice((0.0, 0.02, 0.2, 0.5)),
            hand.choice((0.0, 0.1, 0.5)),
            hand.random() < 0.5,
            low,
            low + hand.choice((0, 5, 30, 200)),
        )
        return [Step(at, "weather", (a, b, *bad)), Step(self._later(at), "clear", (a, b))]

    def _jump(self, at: int) -> list[Step]:
        by = self.hand.choice((-3_600_000, -5_000, -50, 50, 5_000, 3_600_000, 86_400_000))
        return [Step(at, "jump", (self._node(), by))]

    def _full(self, at: int) -> list[Step]:
        node = self._node()
        return [Step(at, "full", (node,)), Step(self._later(at), "roomy", (node,))]

    def _slow(self, at: int) -> list[Step]:
        node = self._node()
        which = self.hand.randrange(4)  # of the node's groups, the one at this place
        slow = self.hand.choice((10, 50, 300))
        return [Step(at, "slow", (node, which, slow)), Step(self._later(at), "fast", (node, which))]

    def _image(self, at: int) -> list[Step]:
        return [Step(at, "image", (self._node(), self.hand.randrange(IMAGES)))]

    def _restore(self, at: int) -> list[Step]:
        node = self._node()
        slot = self.hand.randrange(IMAGES)
        made = Step(max(0, at - int(self.hand.expovariate(1 / 500))), "image", (node, slot))
        return [made, Step(at, "restore", (node, slot)), Step(self._later(at), "start", (node,))]

    def _wipe(self, at: int) -> list[Step]:
        node = self._node()
        return [Step(at, "wipe", (node,)), Step(self._later(at), "start", (node,))]
