"""Tombstones are forgotten, and nothing comes back."""

from copy import deepcopy

import pytest
from attrs import evolve

from replication.claim import Claim
from replication.core import messages, replica
from replication.core.state import LIVE, NONE, VOID
from tests.replication.core.stand import Stand


def deleted(**settings: int) -> Stand:
    """k was written and deleted while all were there; l stayed."""
    stand = Stand(3, **{"purge_ms": 1_000, "absence_ms": 20_000, **settings}).ready()
    stand["A"].write(0, "k", 1)
    stand["A"].write(0, "l", 2)
    stand.work()
    stand["A"].write(0, "k", None)
    stand.work()
    return stand


def test_with_everybody_there_tombstones_are_forgotten_on_all_copies() -> None:
    stand = deleted()
    assert stand["A"].store.tombstones(0) == {"k"}
    stand.run(6_000)
    assert stand["A"].store.tombstones(0) == stand["B"].store.tombstones(0) == set()
    assert stand.copies(0) == [{"l": 2}] * 2
    claim = stand.claim("A")
    assert claim.floor == claim.epoch or claim.floor > 1


def test_while_a_node_is_away_they_stay() -> None:
    stand = deleted(purge_ms=5_000)
    stand.crash("C")
    stand.see()
    stand.run(12_000)
    assert stand["A"].store.tombstones(0) == {"k"}


def test_a_delete_that_the_heir_has_not_heard_of_is_not_forgotten() -> None:
    """Though nobody has noticed yet that it hears nothing."""
    stand = Stand(2, purge_ms=1_000, absence_ms=20_000).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    stand.split("A", "B")
    ended = stand["A"].write(0, "k", None)
    stand.run(3_000)
    assert stand["A"].store.tombstones(0) == {"k"}
    assert ended == []
    stand.heal()
    stand.run(6_000)
    assert ended == [(2, None)]
    assert stand.copies(0) == [{}, {}]
    assert stand["A"].store.tombstones(0) == stand["B"].store.tombstones(0) == set()


def test_while_the_heir_is_not_complete_they_stay() -> None:
    stand = deleted(purge_ms=5_000)
    stand.crash("B", "C")
    stand.see()
    stand.run(12_000)
    assert stand["A"].store.tombstones(0) == {"k"}


def test_a_copy_that_was_away_for_too_long_brings_nothing_back() -> None:
    stand = deleted(purge_ms=60_000)
    older = deepcopy(stand["B"].store)
    older.put(0, "k", (1, 900, 2), "risen")
    stand.crash("B")
    stand.see()
    stand.run(120_000)
    assert stand["A"].store.tombstones(0) == set()
    stand["B"].store = older
    stand.start("B")
    stand.run(10_000)
    assert "k" not in stand["A"].store.values(0)
    assert "k" not in stand["B"].store.values(0)
    assert stand["B"].state.counts.cleared == 1
    assert all(stand[letter].state.parts[0].copy != VOID for letter in "ABC")


@pytest.mark.parametrize("letter", ["A", "B", "C"])
def test_a_directory_from_before_a_purge_brings_nothing_back(letter: str) -> None:
    stand = Stand(3, purge_ms=1_000, absence_ms=20_000).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    stand.run(500)
    older = deepcopy(stand[letter].store)
    stand[stand.servers(0)].write(0, "k", None)
    stand.run(4_000)
    assert all(node.store.tombstones(0) == set() for node in stand.nodes.values())
    stand.crash(letter)
    stand[letter].store = older
    stand.start(letter)
    stand.run(15_000)
    assert all(node.store.values(0) == {} for node in stand.nodes.values())
    assert len(stand.servers(0)) == 1


def test_what_a_copy_alone_has_comes_home_if_it_was_away_for_less() -> None:
    stand = deleted(purge_ms=1_000, absence_ms=60_000)
    stand.split("A", "BC")
    stand.see()
    stand.run(3_000)
    alone = stand["A"].write(0, "only here", 1)
    stand.work()
    assert alone == [(1, None)]
    stand.run(20_000)
    stand.heal()
    stand.see()
    stand.run(10_000)
    assert stand.copies(0) == [{"l": 2, "only here": 1}] * 2


def test_what_a_node_took_alone_after_it_lost_its_directory_comes_home() -> None:
    stand = deleted(purge_ms=1_000, absence_ms=60_000)
    stand.run(3_000)
    assert stand.claim("B").floor > 0
    stand.crash("A", "B", "C")
    stand["A"].store = type(stand["A"].store)()
    stand.start("A")
    stand.run(4_000)
    alone = stand["A"].write(0, "only here", 1)
    stand.work()
    assert alone == [(1, None)]
    stand.start("B", "C")
    stand.run(15_000)
    assert stand.copies(0) == [{"l": 2, "only here": 1}] * 2


def test_but_not_if_it_was_away_for_too_long() -> None:
    stand = deleted(purge_ms=1_000, absence_ms=5_000)
    stand.run(3_000)
    stand.crash("A", "B", "C")
    stand["A"].store = type(stand["A"].store)()
    stand.start("A")
    stand.run(4_000)
    stand["A"].write(0, "only here", 1)
    stand.run(6_000)
    stand.start("B", "C")
    stand.run(15_000)
    assert stand.copies(0) == [{"l": 2}] * 2


def test_nothing_is_purged_where_that_is_turned_off() -> None:
    stand = deleted(purge_ms=0)
    stand.run(20_000)
    assert stand["A"].store.tombstones(0) == {"k"}
    assert stand.claim("A").floor == 0
    assert stand["C"].state.parts[0].copy == NONE


def test_no_floor_is_raised_before_everybody_has_told_what_it_offers() -> None:
    stand = deleted(purge_ms=10_000)
    stand.losing = frozenset({messages.OFFER})
    stand.run(30_000)
    assert stand.claim("A").floor == 0
    stand.losing = frozenset()
    stand.run(3_000)
    assert stand.claim("A").floor > 0
    assert stand["A"].store.tombstones(0) == set()


def test_what_comes_back_is_not_void_before_it_was_asked_for() -> None:
    """It is heard again, and was away for less than is allowed, but its offer is lost on the way at first."""
    stand = deleted(purge_ms=1_000, absence_ms=60_000)
    stand.split("AC", "B")
    stand.see()
    stand.run(3_000)
    stand.crash("C")  # for another claim of A: the higher one
    stand.see()
    stand.run(3_000)
    stand.start("C")
    stand.run(3_000)
    assert stand["B"].write(0, "only here", 1) == []
    stand.work()
    stand.losing = frozenset({messages.OFFER})
    stand.heal()
    stand.see()
    stand.run(10_000)
    assert stand.claim("B").primary == b"A"
    assert stand["B"].state.parts[0].copy != VOID
    stand.losing = frozenset()
    stand.run(10_000)
    assert stand.copies(0) == [{"l": 2, "only here": 1}] * 2


def test_an_old_answer_is_none() -> None:
    """Of another round, or of another life of who asked."""
    stand = deleted(purge_ms=1_000).ready()
    state = stand["A"].state
    state.purge_round = 900
    for ours, number in ((state.incarnation, 899), (state.incarnation + 1, 900)):
        replica.received(state, b"C", [messages.OFFER, 3, [], ours, number])
        assert state.peers[b"C"].offered_all[1] != 900
    replica.received(state, b"C", [messages.OFFER, 3, [], state.incarnation, 900])
    assert state.peers[b"C"].offered_all == (3, 900)


def test_a_holder_that_fills_is_not_sent_back_to_the_beginning_by_each_round() -> None:
    stand = deleted(purge_ms=1_000, copies=3)
    stand.losing = frozenset({messages.CHUNK})
    stand.crash("C")
    stand["C"].store = type(stand["C"].store)()
    stand.start("C")
    stand.run(500)
    floor = stand.claim("A").floor
    stand.run(10_000)
    assert stand["C"].state.parts[0].copy == NONE
    assert stand.claim("A").floor == floor
    stand.losing = frozenset()
    stand.run(10_000)
    assert stand["C"].store.values(0) == {"l": 2}


def test_a_copy_is_not_complete_under_a_claim_that_was_told_ahead_of_the_stream() -> None:
    """It was the heir, and still believes that the stream goes on: what the floor stands for it may have missed."""
    stand = deleted(purge_ms=0)
    state = stand["B"].state
    part = state.parts[0]
    first = part.claim
    assert first is not None
    assert part.copy == LIVE
    second = Claim(first.epoch + 1, b"A", b"C", 0, first.rank)
    third = Claim(second.epoch + 1, b"A", b"C", second.epoch + 1, second.rank)
    replica.received(state, b"A", [messages.CLAIMS, [[0, second.row()]]])
    replica.received(state, b"A", [messages.CLAIMS, [[0, third.row()]]])
    assert part.copy == LIVE
    assert part.asof == first.epoch
    stream = stand["A"].state.peers[b"B"].stream
    number = state.peers[b"A"].source.expected
    closed = [messages.FRAME, 1, stream.session, number, 9, [], [0], [], [], []]
    replica.received(state, b"A", [closed[0], stand["A"].state.incarnation, *closed[2:]])
    assert part.copy == VOID


def test_two_sides_that_were_apart_for_too_long_bring_nothing_back_to_one_another() -> None:
    """Though both have raised floors, and the claims that meet are of the same epoch."""
    stand = Stand(4, purge_ms=1_000, absence_ms=20_000).ready()
    stand["A"].write(0, "k", 1)
    stand["A"].write(0, "l", 2)
    stand.work()
    stand.split("AC", "BD")
    stand.see()
    stand.run(3_000)
    assert stand.servers(0) == "AB"
    stand["B"].write(0, "k", None)
    stand.work()
    stand.run(25_000)
    assert not stand["B"].store.tombstones(0)
    stand["B"].state.settings = evolve(stand["B"].state.settings, purge_ms=0)  # the other side catches up
    while stand.claim("A").epoch < stand.claim("B").epoch:
        stand.run(100)
    ours, theirs = stand.claim("A"), stand.claim("B")
    assert ours.epoch == ours.floor == theirs.epoch == theirs.floor
    stand.heal()
    stand.see()
    stand.run(10_000)
    assert stand.servers(0) == "B"
    assert [stand[letter].store.values(0) for letter in "BD"] == [{"l": 2}] * 2
    assert stand["A"].state.counts.cleared == stand["C"].state.counts.cleared == 1
