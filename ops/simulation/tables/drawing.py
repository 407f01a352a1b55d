"""What a seed decides of a world of tables: what clients do and when, beside the faults, and how replicas are set."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

from ops.simulation import replicas
from ops.simulation.faults import Faults
from ops.simulation.plan import Plan, Step
from ops.simulation.tables.schema import SLICED, WHOLE
from ops.simulation.writes import DELETE, MERGE, PUT

NAME: Final = "tables"
PARTITIONS: Final = 4
KEYS: Final = 5
"""Keys of a table, in each partition: few, so that writes meet."""

FIRST_TRANSFER: Final = 500_000
"""Numbers of the writes that move amounts are above it."""

NEVER_ABSENT_MS: Final = 600_000
"""As `absence_ms`: nobody is away for so long in such a world, and what is settled is never forgiven for that."""


def plan(seed: int, nodes: int | None, steps: int) -> Plan:
    """Everything that will be done to a world."""
    hand = random.Random(f"tables {seed}")
    nodes = nodes or hand.choice((2, 3, 3, 3, 4, 5))
    names = hand.choice(((WHOLE,), (SLICED,), (SLICED,), (WHOLE, SLICED)))
    drawn: list[Step] = []
    faults = Faults(hand, nodes)
    pace = hand.choice((1, 4, 10, 25))
    moves = hand.choice((0.0, 0.0, 0.01, 0.05))
    at = 0
    for write in range(steps):
        at += int(hand.expovariate(1 / pace))
        roll = hand.random()
        if roll < faults.share:
            drawn += faults.draw(at)
        elif roll < faults.share + moves:
            group = hand.choice(names)
            drawn.append(Step(at, "move", (group, _partition(hand, group), hand.randrange(nodes))))
        else:
            drawn.append(_client(hand, at, write, hand.randrange(nodes), hand.choice(names)))
    drawn.sort(key=lambda step: step.at)
    drawn = drawn[:steps]
    drawn += _transfers(seed, drawn, nodes, names)
    drawn.sort(key=lambda step: step.at)
    return Plan(NAME, seed, nodes, _knobs(hand, names, seed), tuple(drawn))


def _partition(hand: random.Random, group: str) -> int:
    return 0 if group == WHOLE else hand.randrange(PARTITIONS)


def _client(hand: random.Random, at: int, write: int, node: int, group: str) -> Step:
    kind = hand.choice((PUT, PUT, DELETE, MERGE, MERGE, "pair", "pair", "pair", "unpair"))
    return Step(at, "write", (write, node, group, kind, _partition(hand, group), hand.randrange(KEYS)))


def _transfers(seed: int, beside: Sequence[Step], nodes: int, names: Sequence[str]) -> list[Step]:
    """Beside everything else, clients move amounts between two keys of a partition, from any node."""
    hand = random.Random(f"tables transfers {seed}")
    share = hand.choice((0.05, 0.15, 0.3))
    found = []
    for number, step in enumerate(beside):
        if hand.random() < share:
            group = hand.choice(names)
            debit, credit = hand.sample(range(KEYS), 2)
            place = (group, _partition(hand, group), debit, credit, hand.randint(1, 9))
            found.append(Step(step.at, "transfer", (FIRST_TRANSFER + number, hand.randrange(nodes), *place)))
    return found


def _forgetting(seed: int) -> dict[str, Any]:
    """Whether and how soon tombstones are forgotten, and whether copies are compared on the way."""
    hand = random.Random(f"tables forgetting {seed}")
    found: dict[str, Any] = {"purge_ms": 0}
    if hand.random() < 0.75:
        found = {
            "purge_ms": hand.choice((20, 110, 530)),
            "tombstone_ms": hand.choice((0, 50, 300)),
            "absence_ms": hand.choice((NEVER_ABSENT_MS, NEVER_ABSENT_MS, 200, 1_000)),
        }
    if hand.random() < 0.2:
        found["check_ms"] = 0
    return found


def _spares(seed: int) -> dict[str, Any]:
    """How many copies there are to be, and how soon one too many is emptied."""
    hand = random.Random(f"tables spares {seed}")
    return {"copies": hand.choice((2, 2, 2, 3)), "leave_ms": hand.choice((100, 60_000))}


def _knobs(hand: random.Random, names: tuple[str, ...], seed: int) -> dict[str, Any]:
    window = hand.choice(replicas.WINDOWS)
    return {
        "groups": list(names),
        "weather": {"delay_max": hand.choice((1, 3, 10))},
        "replica": {**replicas.knobs(hand, window), **_forgetting(seed), **_spares(seed)},
        "detector": replicas.detector(),
    }
