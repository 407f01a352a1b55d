"""A partition's new owner gives out nothing before a majority of every other cluster knows of it for good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest

from node import majority
from replication.detectorstate import ALIVE, DEAD, DetectorSettings
from replication.membership.exchange import Exchange
from replication.membership.far import others_of
from replication.membership.member import ACTIVE, LEAVING, REMOVED, Member
from replication.membership.owner import Owner
from replication.membership.roster import Entry, Roster
from replication.membership.sealing import Sealing
from replication.membership.settings import MembershipSettings

A, B, C, D, E, F = (bytes([65 + n]) * 8 for n in range(6))
NORTH, SOUTH, WEST = (A, B, C), (D, E), (F,)
LABELS = {
    node: label for label, nodes in (("north", NORTH), ("south", SOUTH), ("west", WEST)) for node in nodes
}
DEAD_MS = DetectorSettings().dead_ms


class Side:
    """One node, of the south: cluster, detector and membership around its part. Partitions 0 and 1 are the north's."""

    def __init__(self, me: bytes = D) -> None:
        self.me = me
        self.time = 0
        rows: list[Entry] = [
            Member(node=node, cluster=label, state=ACTIVE, counter=1, editor=A, key=label + str(node[0]))
            for node, label in LABELS.items()
        ]
        rows += [Owner(partition=p, cluster="north", counter=1, editor=A) for p in range(2)]
        self.roster = Roster(rows)
        self.exchange = Exchange(me, self.roster, MembershipSettings())
        self.is_kept = True
        self.thought = dict.fromkeys(LABELS, ALIVE)
        self.called: list[bytes] = []
        self.detector = self.far = self.state = self
        self.settings = DetectorSettings()
        self.peers = LABELS.keys() - {me}
        around: Any = self
        self.sealing = Sealing(around, around)

    @property
    def own(self) -> Member:
        return self.roster.members[self.me]

    @property
    def others(self) -> tuple[Member, ...]:
        return others_of(tuple(self.roster.members.values()), self.own.cluster)

    @property
    def nodes(self) -> tuple[bytes, ...]:
        rows = self.roster.members.values()
        return tuple(sorted(row.node for row in rows if row.belongs and row.cluster == self.own.cluster))

    def now(self) -> int:
        return self.time

    @contextmanager
    def within(self) -> Iterator[None]:
        yield

    def state_of(self, node: bytes) -> str:
        return self.thought[node]

    def reach(self, node: bytes) -> None:
        self.called.append(node)

    def edit_soon(self, rows: list[Entry]) -> None:
        self.roster.merge(rows)

    def assign(self, *partitions: int, to: str = "south") -> None:
        self.roster.merge(self.roster.owned(partitions, self.me, to))

    def set_state(self, state: int, *nodes: bytes) -> None:
        self.roster.merge([self.roster.edited(node, A, state=state) for node in nodes])

    def hear(self, *nodes: bytes, agreed: bool = True, kept: bool = True) -> None:
        """Their beats say that they have the same roster."""
        for node in nodes:
            self.exchange.beat(node, self.roster.digest, self.time, kept=kept, agreed=agreed)

    def steps(self, length_ms: int = DEAD_MS + 200) -> None:
        for _ in range(length_ms // 100):
            self.time += 100
            self.sealing.step()


def test_a_new_row_is_sealed_when_every_other_cluster_is_known_to_have_heard_of_it_for_a_while() -> None:
    side = Side()
    side.assign(0)
    side.steps()
    assert not side.sealing.gives_out(0)
    side.hear(A)
    side.steps()
    assert side.sealing.waiting() == {"south": 1}, "of the third one nobody has said it"
    side.hear(F)
    side.steps(DEAD_MS)
    assert not side.sealing.gives_out(0), "so long somebody counts who has said something else since"
    side.steps(200)
    assert side.sealing.gives_out(0)
    assert side.sealing.waiting() == {}
    assert not side.sealing.gives_out(1)


@pytest.mark.parametrize("lacking", ["roster", "majority", "there"])
def test_a_beat_counts_that_says_the_same_roster_and_a_majority_from_who_is_there(lacking: str) -> None:
    side = Side()
    side.assign(0)
    side.hear(F)
    if lacking == "roster":
        side.exchange.beat(A, b"another.", 0, kept=True, agreed=True)
    else:
        side.hear(A, agreed=lacking != "majority")
        side.thought[A] = DEAD if lacking == "there" else ALIVE
    side.steps()
    assert not side.sealing.gives_out(0)


def test_another_change_begins_the_wait_anew() -> None:
    side = Side()
    side.assign(0)
    side.hear(A, F)
    side.steps(DEAD_MS)
    side.assign(1)
    side.steps()
    assert side.sealing.waiting() == {"south": 2}


def test_who_was_removed_and_a_cluster_without_active_members_isnt_waited_for() -> None:
    side = Side()
    side.assign(0)
    side.set_state(REMOVED, *NORTH)
    side.set_state(LEAVING, F)
    side.steps()
    assert side.sealing.gives_out(0)


def test_where_there_is_one_cluster_only_or_a_row_says_nothing_of_it_all_is_as_before() -> None:
    side = Side(A)
    assert side.sealing.gives_out(0)  # as founded
    assert not side.sealing.gives_out(2)  # nobody's
    side.set_state(REMOVED, *SOUTH, *WEST)
    assert side.sealing.gives_out(2)


def test_a_node_says_that_its_cluster_agrees_if_a_majority_is_there_and_has_its_roster_on_disk() -> None:
    side = Side(A)
    side.steps(100)
    assert not side.sealing.agreed
    side.hear(B, kept=False)
    side.steps(100)
    assert not side.sealing.agreed
    side.hear(B)
    side.steps(100)
    assert side.sealing.agreed
    side.assign(0)
    assert not side.sealing.agreed, "that was said of another roster"
    side.hear(B)
    side.thought[B] = DEAD
    side.steps(100)
    assert not side.sealing.agreed
    side.thought[B], side.is_kept = ALIVE, False
    side.steps(100)
    assert not side.sealing.agreed


def test_partitions_of_a_cluster_that_isnt_there_cant_be_given_to_another_one() -> None:
    side = Side()
    side.hear(E)
    assert side.sealing.unreached([0, 1], "south") == ["north"]
    assert side.called == [A, B]
    side.hear(C, agreed=False)
    assert side.sealing.unreached([0, 1], "south") == ["north"]
    side.hear(B)
    assert side.sealing.unreached([0, 1], "south") == []
    assert side.sealing.unreached([0, 1], "north") == []
    side.assign(0)
    assert side.sealing.unreached([0], "west") == ["south"], "this node's own, of which one hasn't heard"
    side.hear(E)
    assert side.sealing.unreached([0], "west") == []
    side.set_state(REMOVED, *NORTH)
    assert side.sealing.unreached([1], "south") == []


def test_a_sealed_row_stands_over_the_same_one_and_below_the_next() -> None:
    roster = Roster([Owner(partition=0, cluster="north", counter=1, editor=A)])
    assert roster.owners[0].sealed
    assert roster.owned([0], D, "north") == []
    (row,) = roster.owned([0], D, "south")
    roster.merge([row])
    assert not roster.owners[0].sealed
    sealed = row.as_sealed()
    assert Owner.from_row(sealed.row()) == sealed
    assert attrs.evolve(row, rest=(False, "more")).as_sealed().rest == (True, "more")
    assert roster.merge([sealed]) == [sealed]
    assert roster.merge([row]) == []
    (back,) = roster.owned([0], B, "north")
    assert not back.sealed
    assert roster.merge([back]) == [back]
    assert roster.merge([sealed]) == []


def test_only_members_with_the_same_roster_make_a_majority_for_what_this_cluster_owns() -> None:
    side = Side(A)
    membership: Any = side
    there = {A, B}
    assert not majority.is_seen(membership, 0, there.__contains__)
    side.hear(B, C)
    assert majority.is_seen(membership, 0, there.__contains__)
    assert not majority.is_seen(membership, 0, {A}.__contains__)
    assert not majority.is_seen(membership, 2, there.__contains__)
    side.assign(0)
    side.hear(B, C)
    assert not majority.is_seen(membership, 0, there.__contains__), "another cluster's"
    assert majority.is_seen(membership, 1, there.__contains__)
    side.exchange.beat(B, b"another.", 0, kept=True)
    assert not majority.is_seen(membership, 1, there.__contains__), "it may know of another owner"
