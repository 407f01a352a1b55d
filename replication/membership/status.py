"""What an operator sees of a cluster, from one node: members, partitions, what stands at one copy, what may be lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs

from replication.core.state import LIVE, ReplicaState
from replication.detector import Detector
from replication.membership.member import STATES, Member
from replication.replicated import ReplicatedGroup
from replication.schema import declared


@attrs.frozen
class Lost:
    """A partition that may have lost something, and why."""

    group: str
    partition: int
    why: str


@attrs.frozen
class Losses:
    """What may be lost with a node, and who said so. silent: members that were to be asked, and gave no answer."""

    lost: tuple[Lost, ...] = ()
    answered: frozenset[bytes] = frozenset()
    silent: tuple[bytes, ...] = ()


RESTING: Final = "resting"
"""Of a member of another cluster: there is nothing to be said to it now, so nobody here listens for it."""


def members(
    rows: Iterable[Member],
    me: bytes,
    detector: Detector,
    groups: Mapping[str, ReplicatedGroup],
    release: Callable[[bytes], str],
) -> list[dict[str, Any]]:
    """One of each node: its row, what its release is called, whether it is alive, and how many partitions it is primary
    and heir of, as far as this node knows, without the one of the schema."""
    primary: dict[bytes, int] = {}
    heir: dict[bytes, int] = {}
    for name, group in groups.items():
        for part in group.carrier.state.parts if name != declared.NAME else ():
            if part.claim is not None:
                primary[part.claim.primary] = primary.get(part.claim.primary, 0) + 1
                if part.claim.heir is not None:
                    heir[part.claim.heir] = heir.get(part.claim.heir, 0) + 1
    rows = sorted(rows, key=lambda row: row.node)
    resting = {row.node for row in rows if row.belongs and row.node != me} - detector.state.peers.keys()
    return [
        {
            "node": row.node.hex(),
            "state": STATES[row.state],
            "alive": "this"
            if row.node == me
            else RESTING
            if row.node in resting
            else thought(detector, row.node),
            "address": row.address,
            "public": row.public,
            "server": row.server,
            "rack": row.rack,
            "weight": row.weight,
            "cluster": row.cluster,
            "key": row.key,
            "next_key": row.next_key,
            "speaks": list(row.speaks),
            "release": release(row.node) or (RESTING if row.node in resting else ""),
            "primary": primary.get(row.node, 0),
            "heir": heir.get(row.node, 0),
        }
        for row in rows
    ]


def thought(detector: Detector, node: bytes) -> str:
    """What is thought of a node; "" of who is no peer."""
    return detector.state_of(node) if node in detector.state.peers else ""


def partitions(state: ReplicaState) -> dict[str, Any]:
    """Of one group: how many this node serves and has, and those that stand at one copy, or are served by nobody."""
    return {
        "partitions": len(state.parts),
        "served": sum(part.claim is not None and part.claim.primary == state.me for part in state.parts),
        "live": sum(part.copy == LIVE for part in state.parts),
        "moving": sum(part.move_to is not None for part in state.parts),
        "single": [
            [part.number, state.now - part.single_since]
            for part in state.parts
            if part.single_since is not None and part.claim is not None and part.claim.primary == state.me
        ],
        "unserved": [
            [part.number, state.now - part.unserved_since]
            for part in state.parts
            if part.unserved_since is not None
        ],
    }


def sound(groups: Mapping[str, ReplicatedGroup], node: bytes) -> list[list[Any]]:
    """[[group, partition], …] that are claimed by a node, and of which this one has everything that was settled."""
    return [
        [name, part.number]
        for name, group in groups.items()
        for part in group.carrier.state.parts
        if part.claim is not None and part.claim.primary == node and part.copy == LIVE
    ]


def losses(
    groups: Mapping[str, ReplicatedGroup], node: bytes, complete: Iterable[tuple[str, int]]
) -> list[Lost]:
    """What may be lost with a node that never returns. complete: (group, partition) that anybody else has whole."""
    safe = set(complete)
    found = []
    for name, group in groups.items():
        for part in group.carrier.state.parts:
            claim = part.claim
            if claim is None or claim.primary != node:
                continue
            if claim.heir is None:
                why = "it stood alone there: what was written since then is nowhere else"
            elif (name, part.number) not in safe:
                why = f"no complete copy is reached: its heir was {claim.heir.hex()}"
            else:
                continue
            found.append(Lost(name, part.number, why))
    return found
