"""A planned move: no write lost, none done twice, and a bounded time in which nothing is taken."""

from typing import Any

import pytest

from replication.core import messages, replica
from replication.core.errors import ClaimLost, NoMove, UnknownMember
from replication.core.state import DEAD, MOVING, SERVING
from tests.replication.core.stand import Stand


def move(stand: Stand, to: str, letter: str = "A") -> list[Any]:
    ended: list[Any] = []
    replica.move(stand[letter].state, 0, to.encode(), lambda *how: ended.append(how))
    stand[letter].carry_out()
    return ended


def test_a_move_to_the_heir_changes_the_roles() -> None:
    stand = Stand(2).ready()
    ended = move(stand, "B")
    stand.run(2_000)
    assert ended == [(0, None)]
    assert stand.claim("A").rank == (2, b"B")
    assert stand.claim("A").heir == b"A"
    assert stand["B"].state.parts[0].heir_live
    assert stand["B"].state.counts.moves == 1


def test_a_move_waits_for_its_own_frames_and_not_for_a_moment_without_others() -> None:
    stand = Stand(2, partitions=8).ready()
    p, other = [p for p in range(8) if stand.servers(p) == "A"][:2]
    replica.move(stand["A"].state, p, b"B", lambda *how: None)
    stand["A"].carry_out()
    for n in range(20):
        stand["A"].write(other, f"k{n}", n)
        stand["A"].disk()  # a frame that isn't acknowledged when the tick comes
        stream = stand["A"].state.peers[b"B"].stream
        assert stream.acked_number < stream.number
        stand.now += 10
        stand["A"].state.now = stand.now
        replica.tick(stand["A"].state)
        stand["A"].carry_out()
        if stand.sent(messages.HAND):
            return
        stand.deliver()
        stand["B"].disk()
        stand.deliver()
    raise AssertionError("there is always a frame of another partition under way")


def test_nobody_serves_before_everything_that_was_written_is_there() -> None:
    stand = Stand(2).ready()
    ends = [stand["A"].write(0, f"k{n}", n) for n in range(10)]
    ended = move(stand, "B")
    for turn in range(400):
        stand["A"].disk(1)
        stand["B"].disk(1)
        stand.deliver(count=1)
        if stand.servers(0) == "B":
            assert len(stand["B"].store.values(0)) == 10
        assert stand.servers(0) != "AB"
        if turn % 20 == 0:
            stand.tick()
    assert ended == [(0, None)]
    assert all(how == [(2, None)] for how in ends)


def test_a_partition_that_stands_still_takes_no_writes() -> None:
    stand = Stand(2).ready()
    move(stand, "B")
    stand.tick()
    assert stand["A"].state.parts[0].phase == MOVING
    with pytest.raises(ClaimLost):
        stand["A"].write(0, "k", 1)


def test_a_target_that_does_not_take_over_in_time_leaves_it_where_it_is() -> None:
    stand = Stand(2).ready()
    ended = move(stand, "B")
    stand.links[b"A", b"B"].clear()
    for _ in range(20):
        stand["A"].disk()
        stand.links[b"A", b"B"].clear()
        stand.tick()
    ((copies, error),) = ended
    assert copies == 0
    assert isinstance(error, NoMove)
    assert stand["A"].state.parts[0].phase == SERVING
    assert stand.servers(0) == "A"
    how = stand["A"].write(0, "k", 1)
    stand.run(3_000)
    assert how == [(2, None)]


def test_a_move_that_cannot_be_begun_says_why() -> None:
    stand = Stand(3).ready()
    assert isinstance(move(stand, "Z")[0][1], UnknownMember)
    assert isinstance(move(stand, "C", "B")[0][1], ClaimLost)
    replica.liveness(stand["A"].state, b"C", DEAD)
    assert isinstance(move(stand, "C")[0][1], NoMove)
    pending = move(stand, "B")
    assert isinstance(move(stand, "B")[0][1], NoMove)
    assert pending == []


def test_a_target_that_dies_on_the_way_is_given_up() -> None:
    stand = Stand(3).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    ended = move(stand, "C")
    stand["A"].disk()
    replica.liveness(stand["A"].state, b"C", DEAD)
    stand.crash("C")
    stand.run(3_000)
    assert isinstance(ended[0][1], NoMove)
    assert stand.servers(0) == "A"
    assert stand.claim("A").heir == b"B"


def test_a_request_of_an_older_claim_moves_nothing() -> None:
    stand = Stand(2).ready()
    replica.received(stand["B"].state, b"A", [messages.HAND, 0, 0])
    replica.received(stand["B"].state, b"A", [messages.HAND, 0, 7])
    stand["B"].carry_out()
    assert not stand["B"].pending
    assert stand.servers(0) == "A"


def test_a_partition_moved_there_and_back_is_whole() -> None:
    stand = Stand(2).ready()
    ends = []
    for n in range(4):
        primary = stand.servers(0)
        ends.append(stand[primary].write(0, f"k{n}", n))
        assert move(stand, "B" if primary == "A" else "A", primary) == []
        stand.run(2_000)
        assert stand.servers(0) != primary
    assert all(ended == [(2, None)] for ended in ends)
    assert stand.copies(0) == [{f"k{n}": n for n in range(4)}] * 2
    pulled = sum(part[3] for message in stand.sent(messages.CHUNK) for part in message[4])
    assert pulled == 0, "roles change without a copy"


def test_what_stands_still_is_handed_over_as_soon_as_it_has_reached_the_heir() -> None:
    stand = Stand(2).ready()
    how = stand["A"].write(0, "k", 1)
    ended = move(stand, "B")
    stand.tick()
    assert stand["A"].state.parts[0].phase == MOVING
    assert not stand.sent(messages.HAND), "the write is on its way"
    stand.work()  # no tick
    assert how == [(2, None)]
    assert len(stand.sent(messages.HAND)) == 1
    assert ended == [(0, None)]
    assert stand.servers(0) == "B"


def test_a_request_that_is_lost_is_made_again() -> None:
    stand = Stand(2).ready()
    ended = move(stand, "B")
    stand.losing = frozenset({messages.HAND})
    stand.tick()
    stand.work()
    stand.losing = frozenset()
    stand.run(200)
    assert ended == [(0, None)]
    assert len(stand.sent(messages.HAND)) == 2


def test_nobody_who_takes_his_time_holds_a_move_up_for_longer_than_its_primary_waits() -> None:
    stand = Stand(3, pull_wait_ms=5_000).ready()
    move(stand, "B")
    stand.losing = frozenset({messages.CHUNK})
    stand.tick()
    began = stand.now
    while stand.servers(0) != "B":
        stand.work()
        stand.tick()
        assert stand.now - began <= stand.settings.move_wait_ms + 100
    stand.work()
    holds = stand["A"].state.holds
    assert holds.count == 1
    assert holds.most_ms == stand.now - began, "until it was served"


def test_an_older_release_does_not_say_for_how_long_it_waits() -> None:
    stand = Stand(2).ready()
    epoch = stand.claim("A").epoch
    replica.received(stand["B"].state, b"A", [messages.HAND, 0, epoch])
    stand["B"].carry_out()
    stand.work()
    assert stand.servers(0) == "B"
    (served,) = stand.sent(messages.SERVED, "B", "A")
    assert served[1:] == (0, stand.claim("B").row(), 0)


def test_what_was_handed_over_and_not_claimed_shortens_no_later_takeover() -> None:
    """Its claim came behind a higher one. What gathers after the primary's death waits for everybody."""
    stand = Stand(3, pull_wait_ms=5_000).ready()
    epoch = stand.claim("A").epoch
    replica.received(stand["B"].state, b"A", [messages.HAND, 0, epoch, 1])
    stand["B"].carry_out()
    assert stand["B"].state.parts[0].handed_until is not None
    stand["A"].state.now = stand.now
    for _ in range(2):
        replica.force(stand["A"].state, 0)
        stand["A"].carry_out()
        stand["A"].disk()
    stand.deliver("A", "B")
    stand.work()
    assert stand.servers(0) == "A"
    assert stand["B"].state.parts[0].handed_until is None


def test_no_more_stand_still_than_the_pace_has_room_for_and_the_others_are_served() -> None:
    stand = Stand(2, partitions=64).ready()
    state = stand["A"].state
    mine = [p for p in range(64) if stand.servers(p) == "A"]
    ended: list[Any] = []
    for p in mine:
        replica.move(state, p, b"B", lambda *how: ended.append(how))
    stand["A"].carry_out()
    stand.tick()
    assert len(state.standing) == state.pace.at_once < len(mine)
    for p in set(mine) - state.standing:
        stand["A"].write(p, "k", p)
    stand.run(2_000)
    assert ended == [(0, None)] * len(mine)
    assert not state.standing


def test_what_stands_still_for_long_makes_fewer_stand_still() -> None:
    stand = Stand(2, partitions=16).ready()
    state = stand["A"].state
    before = state.pace.at_once
    stand.losing = frozenset({messages.HAND})
    for p in [p for p in range(16) if stand.servers(p) == "A"]:
        replica.move(state, p, b"B", lambda *how: None)
    stand["A"].carry_out()
    stand.run(2_000)
    assert state.pace.at_once < before
    assert state.holds.most_ms <= stand.settings.move_wait_ms + 100


def test_a_hold_of_a_node_that_had_no_time_is_told_of() -> None:
    stand = Stand(2).ready()
    move(stand, "B")
    stand.losing = frozenset({messages.HAND})
    stand.tick()
    stand["A"].paused = True
    stand.run(500)
    assert "stood_still_long" not in dict(stand["A"].reports)
    stand["A"].paused = False
    stand.tick()
    assert dict(stand["A"].reports)["stood_still_long"] == {"partition": 0, "ms": 600}


def test_what_has_waited_for_room_begins_as_soon_as_another_one_is_served_there() -> None:
    stand = Stand(2, partitions=64).ready()
    mine = [p for p in range(64) if stand.servers(p) == "A"]
    ended: list[Any] = []
    for p in mine:
        replica.move(stand["A"].state, p, b"B", lambda *how: ended.append(how))
    stand["A"].carry_out()
    stand.tick()
    stand.work()  # no tick
    assert ended == [(0, None)] * len(mine)
    assert stand["A"].state.holds.count == len(mine)


def test_what_another_node_has_claimed_and_does_not_serve_yet_takes_room() -> None:
    stand = Stand(3, partitions=96, pull_wait_ms=5_000, move_wait_ms=1_000).ready()
    state = stand["A"].state
    mine = [p for p in range(96) if stand.servers(p) == "A"]
    state.peers[b"B"].tells_served = True
    stand.losing = frozenset({messages.CHUNK})
    for p in mine:
        replica.move(state, p, b"B", lambda *how: None)
    stand["A"].carry_out()
    stand.tick()
    stand.work()
    assert len(state.given) == state.pace.at_once < len(mine)
    assert not state.standing
    stand.tick()
    assert not state.standing, "there is no room"
