"""What a seed decides of a world of a cluster: messages, phones that go away, moves, faults, and how all is set."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import attrs

from node.routing import codes
from ops.simulation import replicas
from ops.simulation.faults import Faults
from ops.simulation.mail.node import GROUP
from ops.simulation.plan import Plan, Step
from ops.simulation.tables.node import CONTROL

NAME: Final = "cluster"
PARTITIONS: Final = 8
USERS: Final = 10
NUMBER: Final = 15_550_100_001
"""The first of those that nobody has at first."""
CLOGS_FROM: Final = 1_000
"""Lower seeds know no full links: tests look for what was found in them before there was this fault."""
ENDS_FROM: Final = 10_000
"""Lower seeds know no processes that are found to have ended, for the same reason."""
AGAIN_FROM: Final = 20_000
"""Nor any phones that ask once more for what was granted, or that ask while the first nodes meet."""
ENDED_MS: Final = 10
"""As `ended_ms` of detectors."""
CHANNELS: Final = (*codes.CHANNELS, GROUP, CONTROL)
PATIENCE_MS: Final = 400
"""As `patience_ms` of routing: longer than a takeover takes in such a world."""
ANSWER_MS_MAX: Final = 600


def plan(seed: int, nodes: int | None, steps: int) -> Plan:
    """Everything that will be done to a world of one cluster."""
    hand = random.Random(f"cluster {seed}")
    nodes = nodes or hand.choice((2, 3, 3, 3, 4, 5, 6))
    drawn = mishaps(hand, nodes, steps)
    at = drawn.end
    founders = nodes if nodes < 3 else nodes - hand.choice((0, 0, 1, 2 if nodes > 3 else 1))
    done = drawn.steps + _comings_and_goings(hand, nodes, founders, at)
    done += _losses(seed, nodes, founders, at)
    done += rotations(random.Random(f"cluster keys {seed}"), nodes, done, at)
    come, some = newcomers(random.Random(f"cluster newcomers {seed}"), at)
    hasty = again(seed)
    done += [attrs.evolve(step, at=0) for step in some] if hasty else some
    done += clogs(seed, nodes, at)
    done += filters(seed, nodes, at)
    done.sort(key=lambda step: step.at)
    how = knobs(hand) | ends(seed) | hasty
    return Plan(NAME, seed, nodes, {**how, "founders": founders, "newcomers": come}, tuple(done))


class Drawn(NamedTuple):
    """Steps, and when the last of them was drawn for."""

    steps: list[Step]
    end: int


def mishaps(hand: random.Random, nodes: int, steps: int) -> Drawn:
    """Messages, phones that go away, moves, faults."""
    drawn: list[Step] = []
    faults = Faults(hand, nodes)
    pace = hand.choice((2, 5, 10, 25))
    moves = hand.choice((0.0, 0.01, 0.05))
    parting = hand.choice((0.0, 0.02, 0.1))
    friends = hand.choice((2, 4, USERS))
    at = 0
    for number in range(steps):
        at += int(hand.expovariate(1 / pace))
        roll = hand.random()
        if roll < faults.share:
            drawn += faults.draw(at)
        elif roll < faults.share + moves:
            drawn.append(Step(at, "move", (hand.randrange(PARTITIONS), hand.randrange(nodes))))
        elif roll < faults.share + moves + parting:
            drawn.append(Step(at, "part", (hand.randint(1, USERS),)))
        else:
            sender = hand.randint(1, USERS)
            recipient = (sender - 1 + hand.randrange(friends)) % USERS + 1
            drawn.append(Step(at, "compose", (number, sender, recipient)))
    drawn.sort(key=lambda step: step.at)
    return Drawn(drawn[:steps], at)


def rotations(hand: random.Random, nodes: int, others: Sequence[Step], end: int) -> list[Step]:
    """Nodes that change their keys; mostly with somebody who changes their rows meanwhile. Not where disks become older
    ones: a restored directory has the key of its time, too, and joins anew."""
    if hand.random() > 0.4 or any(step.kind in ("wipe", "restore") for step in others):
        return []
    found = []
    for _ in range(hand.choice((1, 1, 2, 4))):
        node, at = hand.randrange(nodes), hand.randrange(end + 1)
        found += [Step(at + again * 300, "rotate", (node,)) for again in range(2)]
        for _ in range(hand.choice((0, 1, 3))):
            when = at + hand.choice((0, 0, 5, 50, 400))
            found.append(Step(when, "weigh", (node, hand.randrange(nodes), hand.choice((50, 100, 200)))))
    return found


def newcomers(hand: random.Random, end: int) -> tuple[int, list[Step]]:
    """Numbers that nobody has at first, and when their devices begin to want them."""
    count = hand.choice((0, 0, 1, 3))
    return count, [Step(hand.randrange(end + 1), "register", (NUMBER + one,)) for one in range(count)]


def again(seed: int) -> dict[str, Any]:
    """Whether phones register while the nodes still meet, and some don't hear the answer: in half of the worlds."""
    if seed < AGAIN_FROM or random.Random(f"again {seed}").random() > 0.5:
        return {}
    return {"again": True}


def clogs(seed: int, nodes: int, end: int) -> list[Step]:
    """Links whose queues are full for a while, each channel by itself."""
    hand = random.Random(f"clogs {seed}")
    if seed < CLOGS_FROM or nodes < 2 or hand.random() > 0.25:
        return []
    found = []
    lasting = hand.choice((20, 100, 400))
    channels = hand.sample(CHANNELS, hand.choice((1, 2, len(CHANNELS))))
    for _ in range(hand.choice((2, 8, 30))):
        at = hand.randrange(end + 1)
        link = (*hand.sample(range(nodes), 2), hand.choice(channels))
        found.append(Step(at, "clog", link))
        found.append(Step(at + 1 + int(hand.expovariate(1 / lasting)), "unclog", link))
    return found


def ends(seed: int) -> dict[str, Any]:
    """Whether nodes find out about processes that ended: mostly."""
    if seed < ENDS_FROM or random.Random(f"ends {seed}").random() > 0.8:
        return {}
    return {"ends": True, "detector": replicas.detector() | {"ended_ms": ENDED_MS}}


def filters(seed: int, nodes: int, end: int) -> list[Step]:
    """Something on the way refuses one node in the name of another, for a while; one after another."""
    hand = random.Random(f"filters {seed}")
    if seed < ENDS_FROM or nodes < 2 or hand.random() > 0.25:
        return []
    found = []
    at = hand.randrange(end + 1)
    for _ in range(hand.choice((1, 3, 6))):
        link = tuple(hand.sample(range(nodes), 2))
        over = at + 50 + int(hand.expovariate(1 / 300))
        found += [Step(at, "filter", link), Step(over, "unfilter", link)]
        at = over + 200 + int(hand.expovariate(1 / 300))
    return found


def _comings_and_goings(hand: random.Random, nodes: int, founders: int, end: int) -> list[Step]:
    """Nodes that join, at whoever is there; one that leaves, and one that is to hold more, or less."""
    found = [
        Step(hand.randrange(end + 1), "join", (node, hand.randrange(founders)))
        for node in range(founders, nodes)
        for _ in range(3)  # whoever is asked may be down
    ]
    if hand.random() < 0.3:
        leaver = hand.randrange(nodes)
        at = hand.randrange(end + 1)
        found += [Step(at + again * 200, "leave", (leaver, leaver)) for again in range(2)]
    if hand.random() < 0.3:
        step = (hand.randrange(nodes), hand.randrange(founders), hand.choice((1, 50, 400)))
        found.append(Step(hand.randrange(end + 1), "weigh", step))
    return found


def _losses(seed: int, nodes: int, founders: int, end: int) -> list[Step]:
    """A node that never returns."""
    hand = random.Random(f"cluster losses {seed}")
    if founders < 3 or hand.random() > 0.1:
        return []
    lost, via = hand.sample(range(nodes), 2)
    return [Step(hand.randrange(end + 1), "lose", (lost, via))]


def knobs(hand: random.Random) -> dict[str, Any]:
    """How nodes and links are set."""
    window = hand.choice(replicas.WINDOWS)
    messages = hand.choice((3, 100, 100))
    in_flight = hand.choice((1, 3, 16))
    return {
        "weather": {"delay_max": hand.choice((1, 3, 10))},
        "link_window": hand.choice((8, 60, 1_000, 1_000)),
        "mail": {
            "sync_delay_ms": hand.choice((0, 5, 20, 100)),
            "flush_delay_ms": hand.choice((10, 50, 200)),
            "sync_first": hand.random() < 0.2,
            "window": in_flight,
            "pair_share": hand.randint(1, in_flight),
            "mailbox_messages_max": messages,
            "commit_messages_max": hand.choice((1, 5, 100)),
            "pairs_cached_max": hand.choice((1, 5, 1000)),
            "busy_retry_ms": 50,
            "full_retry_ms": 100,
        },
        "routing": {
            "kept_messages_max": hand.choice((3, 20, 1_000, 1_000)),
            "kept_part_messages_max": hand.choice((2, 20, 1_000, 1_000)),
            "patience_ms": PATIENCE_MS,
            "answer_ms_max": ANSWER_MS_MAX,
            "reopen_ms": 50,
            "retry_ms": 50,
            "asks_max": hand.choice((2, 1_000)),
            "ask_ms_max": 300,
            "origins_max": hand.choice((1, 3, 1_000, 1_000)),
            "told_max": hand.choice((1, 1_000, 1_000)),
            "rest_ms": 100,
        },
        "replica": replicas.knobs(hand, window),
        "detector": replicas.detector(),
        "clients_move": hand.random() < 0.5,
        "vanishing": hand.choice((0.2, 0.7)),
        "patience_ms": hand.choice((300, 1_500)),
        "servers": hand.choice((2, 3, 6)),
        "membership": {
            "exchange_ms": 50,
            "moves_per_s": hand.choice((5.0, 50.0)),
            "moves_max": hand.choice((1, 4)),
            "calm_ms": hand.choice((100, 500, 60_000)),
            "rebalance": hand.random() < 0.8,
        },
    }
