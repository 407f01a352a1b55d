"""Rosters of several nodes over links that lose, repeat and are cut: they come to know the same, at a price that grows
with the number of nodes and not with its square."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.membership.exchange import CHANGED, SEND, TALLY, TELL, WANT, Effect, Exchange
from replication.membership.member import LEAVING, REMOVED, Member
from replication.membership.roster import Roster
from replication.membership.settings import MembershipSettings

BEAT_MS = 250


def named(n: int) -> bytes:
    return (n + 1).to_bytes(8, "big")


class Nodes:
    """Some nodes that beat; what they say arrives at once, if it does."""

    def __init__(self, count: int, seed: int = 0, loss: float = 0.0) -> None:
        self.chance = random.Random(seed)
        self.loss = loss
        self.now = 0
        self.sent = 0
        self.split: set[bytes] = set()
        rows = [Member(node=named(n), key=str(n)) for n in range(count)]
        self.nodes = {row.node: Exchange(row.node, Roster(rows), MembershipSettings()) for row in rows}

    def passes(self, a: bytes, b: bytes) -> bool:
        return (a in self.split) == (b in self.split) and self.chance.random() >= self.loss

    def carry(self, sender: bytes, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if effect[0] == SEND:
                self.sent += 1
                _, peer, message = effect
                for _ in range(2 if self.chance.random() < self.loss / 2 else 1):
                    if self.passes(sender, peer):
                        self.carry(peer, self.nodes[peer].received(sender, list(message)))

    def edit(self, at: bytes, node: bytes, **changes: Any) -> None:
        one = self.nodes[at]
        if one.roster.members[node].state != REMOVED:
            self.carry(at, one.edited([one.roster.edited(node, at, **changes)], self.nodes))

    def beats(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += BEAT_MS
            for a, one in self.nodes.items():
                digest = one.roster.digest
                for b in self.nodes:
                    if a != b and self.passes(a, b):
                        self.carry(b, self.nodes[b].beat(a, digest, self.now))

    @property
    def agree(self) -> bool:
        return len({one.roster.digest for one in self.nodes.values()}) == 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(2, 7))
def test_after_loss_and_splits_all_know_the_same(seed: int, count: int) -> None:
    world = Nodes(count, seed, loss=0.5)
    names = list(world.nodes)
    for _ in range(10):
        world.split = {name for name in names if world.chance.random() < 0.3}
        at, node = world.chance.choice(names), world.chance.choice(names)
        state = world.chance.choice([LEAVING, REMOVED]) if world.chance.random() < 0.3 else 1
        world.edit(at, node, state=state, weight=world.chance.randrange(100))
        world.beats(world.chance.randrange(3))
    world.split, world.loss = set(), 0.0
    world.beats(10 * count)
    assert world.agree


def test_without_loss_a_change_is_told_once_to_each_and_nothing_else_is_said() -> None:
    world = Nodes(20)
    world.edit(named(3), named(5), weight=1)
    world.beats(5)
    assert world.agree
    assert world.sent == 19


@pytest.mark.parametrize("count", [3, 10, 30])
def test_a_node_that_missed_a_change_costs_messages_in_proportion_to_nodes(count: int) -> None:
    world = Nodes(count)
    world.split = {named(0)}
    world.edit(named(1), named(2), weight=1)
    world.split = set()
    world.beats(8)
    assert world.agree
    assert world.sent <= 8 * count


def test_another_digest_is_asked_about_only_when_it_stays() -> None:
    one = Exchange(named(0), Roster([Member(node=named(0))]), MembershipSettings())
    assert one.beat(named(1), b"12345678", 0) == []
    assert one.beat(named(1), b"87654321", 250) == []
    assert [effect[2][0] for effect in one.beat(named(1), b"87654321", 500)] == [TALLY]
    assert one.beat(named(1), b"87654321", 750) == []  # the answer may be on its way
    one.beat(named(1), one.roster.digest, 2_000)
    assert one.beat(named(1), b"87654321", 2_250) == []


def test_who_knows_something_has_it_on_its_disk_only_when_it_says_so() -> None:
    one = Exchange(named(0), Roster([Member(node=named(0))]), MembershipSettings())
    digest = one.roster.digest
    for kept in (False, True, False):
        assert one.beat(named(1), digest, 0, kept=kept) == []
        assert one.knows(named(1))
        assert one.has_kept(named(1)) is kept
    one.beat(named(1), digest, 0, kept=True)
    one.roster.merge([one.roster.edited(named(0), named(0), weight=1)])
    assert not one.knows(named(1))
    assert not one.has_kept(named(1)), "what it has there is another one"
    one.beat(named(1), one.roster.digest, 0, kept=True)
    one.gone(named(1))
    assert not one.has_kept(named(1))


def test_what_is_told_is_merged_and_reported_once() -> None:
    one = Exchange(named(0), Roster(), MembershipSettings())
    row = Member(node=named(1), counter=1)
    assert one.received(named(1), [TELL, [row.row()], []]) == [(CHANGED, [row])]
    assert one.received(named(1), [TELL, [row.row()], [], "what a newer version adds"]) == []


@pytest.mark.parametrize(
    "message",
    [
        [TELL],
        [TELL, 1, 2],
        [TALLY, [[1, 2]]],
        [TALLY, [[b"12345678"]]],
        [WANT, 5],
        [99],
        [TALLY, [[b"1", b"2"]]],
    ],
)
def test_what_makes_no_sense_is_counted(message: list[Any]) -> None:
    one = Exchange(named(0), Roster(), MembershipSettings())
    assert one.received(named(1), message) == []
    assert one.malformed == 1
