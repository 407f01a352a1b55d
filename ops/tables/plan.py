"""What goes wrong with a fleet, in which order: values made from a seed, so that a failing run can be run again."""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator, Sequence

from attrs import frozen


class Kind(enum.Enum):
    """What happens. Primary and heir are those of a group that the seed chooses."""

    KILL_PRIMARY = "kill-primary"
    KILL_HEIR = "kill-heir"
    KILL_TWO = "kill-two"
    KILL_ALL = "kill-all"
    RESTART_AT_ONCE = "restart-at-once"
    PAUSE_PRIMARY = "pause-primary"
    PAUSE_HEIR = "pause-heir"
    ISOLATE_PRIMARY = "isolate-primary"
    CUT_PAIR = "cut-pair"
    CUT_ONE_WAY = "cut-one-way"
    DEAF_PRIMARY = "deaf-primary"
    MUTE_PRIMARY = "mute-primary"
    POWER_LOSS_OF_ALL = "power-loss-of-all"
    POWER_LOSS_OF_PRIMARY = "power-loss-of-primary"
    LOSE_PRIMARY = "lose-primary"
    RESTORE_PRIMARY = "restore-primary"
    RESTORE_HEIR = "restore-heir"
    CLONE = "clone"
    DISK_FULL_PRIMARY = "disk-full-primary"
    DISK_FULL_HEIR = "disk-full-heir"
    MOVE = "move"


CUTS = frozenset(
    {Kind.ISOLATE_PRIMARY, Kind.CUT_PAIR, Kind.CUT_ONE_WAY, Kind.DEAF_PRIMARY, Kind.MUTE_PRIMARY}
)
"""They need cables that can be cut; two primaries may come of them."""
POWER = frozenset({Kind.POWER_LOSS_OF_ALL, Kind.POWER_LOSS_OF_PRIMARY})
"""They need the power-loss library."""
FULL = frozenset({Kind.DISK_FULL_PRIMARY, Kind.DISK_FULL_HEIR})
"""They need small disks."""


@frozen
class Fault:
    """One fault. group: place of the group that it is about, to be scaled by 0 ≤ group < 1."""

    kind: Kind
    group: float
    seconds: float
    seed: int


def faults(seed: int, kinds: Sequence[Kind]) -> Iterator[Fault]:
    """Without end: all kinds in random order, again and again."""
    rng = random.Random(f"tables {seed}")
    while True:
        for kind in rng.sample(list(kinds), len(kinds)):
            yield Fault(kind, rng.random(), rng.uniform(0.3, 3.5), rng.randrange(1 << 30))
