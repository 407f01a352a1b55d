"""What an operator is told: who may lose what, and how a node looks from another one."""

from __future__ import annotations

from typing import Any

from replication.claim import Claim
from replication.core.state import LIVE
from replication.detector import Detector
from replication.detectorstate import DetectorSettings
from replication.membership import status
from replication.membership.member import LEAVING, Member
from tests.replication.core.stand import Node, Stand

A, B, C = b"A", b"B", b"C"


class Group:
    """A replica of the stand, as a group."""

    def __init__(self, node: Node) -> None:
        self.carrier = node
        self.state = node.state


def groups(stand: Stand, letter: str) -> dict[str, Any]:
    return {"users": Group(stand[letter])}


def test_what_a_dead_node_alone_had_may_be_lost_and_what_others_have_is_not() -> None:
    stand = Stand(3, partitions=4).ready()
    for p, claim in enumerate((Claim(9, A, B), Claim(9, A, None), Claim(9, A, C), Claim(9, B, A))):
        stand["C"].state.parts[p].claim = claim
        stand["C"].state.parts[p].copy = LIVE if claim.heir == C else 0
    assert status.sound(groups(stand, "C"), A) == [["users", 2]]
    lost = status.losses(groups(stand, "C"), A, [("users", 2)])
    assert [(one.partition, one.why.split(":")[0]) for one in lost] == [
        (0, "no complete copy is reached"),
        (1, "it stood alone there"),
    ]
    assert [one.partition for one in status.losses(groups(stand, "C"), A, [("users", 0), ("users", 2)])] == [
        1
    ]


def test_members_are_shown_with_what_they_hold() -> None:
    stand = Stand(2, partitions=2).ready()
    detector = Detector(A, [A, B], b"bootboot", DetectorSettings(), 0)
    rows = [Member(node=B, state=LEAVING, key="k"), Member(node=C, cluster="south"), Member(node=A, weight=5)]
    releases = {A: "", B: "B"}
    shown = status.members(rows, A, detector, groups(stand, "A"), lambda node: releases.get(node, ""))
    assert [one["release"] for one in shown] == ["", "B", "resting"]
    assert [(one["state"], one["alive"], one["primary"] + one["heir"]) for one in shown] == [
        ("active", "this", 2),
        ("leaving", "unknown", 2),
        ("active", "resting", 0),
    ]
    assert status.partitions(stand["A"].state)["partitions"] == 2
    stand.crash("B")
    stand.see()
    stand.run(2_000)
    assert [p for p, _ in status.partitions(stand["A"].state)["single"]] == [0, 1]
