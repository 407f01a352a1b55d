"""Which faults, and when: a list made from a seed, so that a failing run can be run again.

It must never do anything: a plan is values.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Mapping
from types import MappingProxyType

from attrs import frozen


class Kind(enum.Enum):
    """What goes wrong."""

    NODE_KILL = "node-kill"
    NODE_PAUSE = "node-pause"
    NODE_STOP = "node-stop"
    POWER_LOSS = "power-loss"
    CLIENT_KILL = "client-kill"
    CLIENT_PAUSE = "client-pause"
    CLIENT_POWER_LOSS = "client-power-loss"
    NEW_DEVICES = "new-devices"
    NETWORK_CUT = "network-cut"
    DISK_FULL = "disk-full"


DURATIONS: Mapping[Kind, tuple[float, float]] = MappingProxyType(
    {
        Kind.NODE_KILL: (0.0, 0.5),
        Kind.NODE_PAUSE: (0.5, 4.0),
        Kind.NODE_STOP: (0.0, 0.3),
        Kind.POWER_LOSS: (0.0, 0.3),
        Kind.CLIENT_KILL: (0.0, 1.0),
        Kind.CLIENT_PAUSE: (0.5, 4.0),
        Kind.CLIENT_POWER_LOSS: (0.0, 1.0),
        Kind.NEW_DEVICES: (0.0, 1.0),
        Kind.NETWORK_CUT: (1.0, 4.0),
        Kind.DISK_FULL: (0.5, 3.0),
    }
)
"""Seconds that a fault lasts, from and to."""


@frozen
class Fault:
    """One fault: it begins `pause` seconds after the one before ended, and lasts `seconds`.

    `victim`: which worker, where one is meant; 0 ≤ victim < 1, to be scaled.
    """

    kind: Kind
    pause: float
    seconds: float
    victim: float
    seed: int


def make_plan(seed: int, wanted: Mapping[Kind, int], pause: float, haste: float = 1.0) -> list[Fault]:
    """So many faults of each kind, in random order.

    Args:
        pause: seconds of peace between them, on average.
        haste: how many times shorter than usual the faults are.
    """
    rng = random.Random(f"plan {seed}")
    kinds = [kind for kind, count in wanted.items() for _ in range(count)]
    rng.shuffle(kinds)
    return [
        Fault(
            kind,
            pause=rng.uniform(0.3, 1.7) * pause,
            seconds=rng.uniform(*DURATIONS[kind]) / haste,
            victim=rng.random(),
            seed=rng.randrange(1 << 30),
        )
        for kind in kinds
    ]
