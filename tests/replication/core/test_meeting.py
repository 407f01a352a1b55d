"""A peer counts when it has told, since it was away last, all that it may have and this node may lack."""

from replication.core import meeting, messages, replica
from tests.replication.core.stand import Stand


def test_everybody_has_told_soon_after_the_start() -> None:
    stand = Stand(3).ready()
    assert all(meeting.has_met(stand["A"].state, name) for name in stand.names)
    assert meeting.is_whole(stand["A"].state, 0)


def test_who_was_away_counts_when_it_has_told_again() -> None:
    stand = Stand(3).ready()
    stand.dead("B", "A")
    assert not meeting.has_met(stand["A"].state, b"B")
    assert meeting.has_met(stand["A"].state, b"C")
    stand.losing = frozenset({messages.OFFER})
    stand.see()
    stand.run(3_000)
    assert not meeting.has_met(stand["A"].state, b"B")
    stand.losing = frozenset()
    stand.run(3_000)
    assert meeting.has_met(stand["A"].state, b"B")


def test_an_answer_to_what_was_asked_before_it_was_away_counts_for_nothing() -> None:
    stand = Stand(2).ready()
    state = stand["A"].state
    replica.disconnected(state, b"B")
    stand.tick()
    stand.run(300)
    stand.tick()
    asked = meeting.question(state, state.peers[b"B"]) or state.serials
    replica.disconnected(state, b"B")
    replica.received(
        state, b"B", [messages.OFFER, stand["B"].state.incarnation, [], state.incarnation, asked]
    )
    assert not meeting.has_met(state, b"B")


def test_after_a_split_a_primary_is_whole_when_it_has_taken_in_what_the_other_side_wrote() -> None:
    stand = Stand(3, check_ms=0).ready()
    stand.split("A", "BC")
    stand.see()
    stand.run(3_000)
    ended = stand["B"].write(0, "k", "of B")
    stand.run(300)
    assert ended == [(2, None)]
    stand.heal()
    stand.losing = frozenset({messages.CHUNK})
    stand.see()
    stand.run(3_000)
    state = stand["A"].state
    assert stand.claim("B").primary == b"A"  # it has claimed more often
    assert meeting.has_met(state, b"B")
    assert not meeting.is_whole(state, 0)
    stand.losing = frozenset()
    stand.run(10_000)
    assert meeting.is_whole(state, 0)
    assert stand["A"].store.values(0) == {"k": "of B"}
