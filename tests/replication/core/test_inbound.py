"""A holder takes in frames in their turn only, of the claim it knows, and says what is durable."""

from typing import Any

import cbor2

from replication.claim import Claim
from replication.core import claims, effects, messages, replica, streams
from replication.core.state import LIVE, NONE, VOID
from tests.replication.core.stand import Stand


def frame(stand: Stand, number: int, to: int, rows: int = 0) -> list[Any]:
    """As A would send it to B, in the session that is."""
    stream = stand["A"].state.peers[b"B"].stream
    part = (0, "t", b"\x80", rows)
    return [
        messages.FRAME,
        stand["A"].state.incarnation,
        stream.session,
        number,
        to,
        [],
        [],
        [],
        [[0, 1]],
        [part],
    ]


def test_a_frame_out_of_its_turn_is_not_taken_in_and_the_peer_is_told_where_we_are() -> None:
    stand = Stand(2).ready()
    state = stand["B"].state
    expected = state.peers[b"A"].source.expected
    state.now += 10_000
    replica.received(state, b"A", frame(stand, expected + 1, 9))
    assert [effect[0] for effect in state.out] == [effects.SEND]
    assert state.out[0][2][0] == messages.KNOW


def test_a_frame_that_comes_again_is_taken_in_once() -> None:
    stand = Stand(2).ready()
    stand["A"].write(0, "k", 1)
    stand["A"].disk()
    link = stand.links[b"A", b"B"]
    link.extend(list(link))
    stand.deliver("A", "B")
    stand["B"].disk()
    assert stand["B"].state.counts.rows_applied == 1


def test_frames_of_another_session_are_nobodys() -> None:
    stand = Stand(2).ready()
    state = stand["B"].state
    older = frame(stand, state.peers[b"A"].source.expected, 9)
    older[2] -= 1
    replica.received(state, b"A", older)
    assert state.out == []


def test_nothing_is_acknowledged_before_it_is_durable() -> None:
    stand = Stand(2).ready()
    stand["A"].write(0, "k", 1)
    stand["A"].disk()
    before = len(stand.sent(messages.ACK, "B"))
    stand.deliver("A", "B")
    assert len(stand.sent(messages.ACK, "B")) == before
    stand["B"].disk()
    assert len(stand.sent(messages.ACK, "B")) == before + 1


def test_records_and_cursor_are_one_commit() -> None:
    stand = Stand(2).ready()
    stand["A"].write(0, "k", 1)
    stand["A"].disk()
    state = stand["B"].state
    replica.received(state, b"A", cbor2.loads(stand.links[b"A", b"B"][0]))
    ((code, who, parts, rows, trusted, _),) = [one for one in state.out if one[0] == effects.APPLY]
    assert (code, who, trusted) == (effects.APPLY, b"A", True)
    assert [part[3] for part in parts] == [1]
    assert rows[0] == (("stream", b"A"), [stand["A"].state.incarnation, 1])


def test_the_cursor_moves_when_the_records_are_durable_and_not_before() -> None:
    stand = Stand(2).ready()
    stand["A"].write(0, "k", 1)
    stand["A"].disk()
    stand.deliver("A", "B")
    known = stand["B"].state.peers[b"A"].known
    assert known.cursor(0)[1] == 0
    stand["B"].disk()
    assert known.cursor(0)[1] == 1


def test_a_frame_of_a_beaten_claim_is_refused_with_the_claim_that_beats_it() -> None:
    stand = Stand(3).ready()
    stand["A"].write(0, "k", "old")
    stand["A"].disk()
    claims.learn(stand["B"].state, [[0, Claim(9, b"C", b"B").row()]])
    stand["B"].carry_out()
    stand.deliver("A", "B")
    stand["B"].disk()
    assert stand["B"].store.values(0) == {}
    ack = stand.sent(messages.ACK, "B", "A")[-1]
    assert ack[8] == [[0, Claim(9, b"C", b"B").row()]]
    stand.deliver("B", "A")
    assert stand.servers(0) == ""


def test_the_mark_is_where_anybody_else_wrote_last() -> None:
    """Without it a cursor would be reversed over what another node wrote here."""
    stand = Stand(3).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    node = stand["B"]
    first = node.store.sequence
    node.store.put(0, "other", (1, 50, 77), "of C")
    node._tapped(first, {0: ["other"]}, b"C")
    node.carry_out()
    stand["A"].write(0, "l", 2)
    stand.work()
    acks = stand.sent(messages.ACK, "B", "A")
    assert acks[-1][6] == first + 1
    assert acks[-2][6] <= first


def test_a_failed_apply_moves_nothing_is_reported_and_asked_for_again() -> None:
    stand = Stand(2).ready()
    ended = stand["A"].write(0, "k", 1)
    stand["A"].disk()
    stand.deliver("A", "B")
    stand["B"].failure = OSError("full")
    stand["B"].disk(1)
    assert stand["B"].state.peers[b"A"].known.cursor(0)[1] == 0
    assert [what for what, _ in stand["B"].reports] == ["apply_failed"]
    stand.work()
    assert ended == []
    stand.run(4_000)
    assert ended == [(2, None)]


def test_a_stream_that_goes_on_from_elsewhere_is_refused() -> None:
    stand = Stand(2).ready()
    state = stand["B"].state
    session = state.peers[b"A"].source.session
    before = len(stand.sent(messages.KNOW, "B", "A"))
    replica.received(state, b"A", [messages.START, stand["A"].state.incarnation, session + 7, 99, [0], []])
    stand["B"].carry_out()
    assert len(stand.sent(messages.KNOW, "B", "A")) == before + 1
    assert state.peers[b"A"].source.session == 0


def test_a_copy_that_is_found_to_be_void_after_it_was_told_of_does_not_go_on() -> None:
    stand = Stand(2).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    state = stand["B"].state
    source = state.peers[b"A"].source
    state.parts[0].copy = VOID
    known = state.peers[b"A"].known.stream
    start = [messages.START, stand["A"].state.incarnation, source.session + 7, known.upto, [0], []]
    replica.received(state, b"A", start)
    assert 0 not in source.opened
    assert 0 in source.refusals
    stand.run(5_000)
    assert state.parts[0].copy == LIVE
    assert stand["A"].state.parts[0].heir_live
    assert stand["B"].store.values(0) == {"k": 1}


def test_a_copy_that_is_to_be_filled_in_pieces_is_not_complete_until_it_is() -> None:
    stand = Stand(2).ready()
    state = stand["B"].state
    session = state.peers[b"A"].source.session
    assert state.parts[0].copy == LIVE
    replica.received(state, b"A", [messages.START, stand["A"].state.incarnation, session + 7, 99, [], [0]])
    assert state.parts[0].copy == NONE


def test_frames_behind_a_claim_of_ones_own_that_is_being_stored_are_refused() -> None:
    """It will be durable first: an ack would settle under a claim that is beaten by then."""
    stand = Stand(2).ready()
    claims.make(stand["B"].state, [(0, b"A")])
    stand["B"].carry_out()
    ended = stand["A"].write(0, "k", 1)
    stand["A"].disk()
    stand.deliver("A", "B")
    stand.losing = frozenset({messages.CLAIMS, messages.FRAME})
    stand["B"].disk()
    assert stand.claim("B").primary == b"B"
    stand.deliver("B", "A")
    assert stand.claim("A").primary == b"A", "it hasn't heard of it"
    assert ended == []
    stand.losing = frozenset()
    stand.run(5_000)
    assert stand.copies(0) == [{"k": 1}] * 2, "it is there all the same: the winner has asked for it"


def test_a_stream_that_begins_while_something_is_taken_in_waits_its_turn() -> None:
    """Two nodes that told each other "begin" and "too early" did nothing else until a slow disk was done."""
    stand = Stand(2).ready()
    first = stand["A"].write(0, "k", 1)
    stand["A"].disk()
    stand.deliver("A", "B")
    assert stand["B"].state.peers[b"A"].busy
    told = len(stand.sent(messages.KNOW, "B", "A"))
    streams.begin(stand["A"].state, stand["A"].state.peers[b"B"], 0, frozenset())
    stand["A"].carry_out()
    second = stand["A"].write(0, "l", 2)
    stand["A"].disk()
    stand.deliver()
    assert len(stand.sent(messages.KNOW, "B", "A")) == told
    assert stand["B"].state.peers[b"A"].source.start is not None
    stand.run(2_000)
    assert stand["B"].state.peers[b"A"].source.start is None
    assert (first, second) == ([(2, None)], [(2, None)])
    assert stand.copies(0) == [{"k": 1, "l": 2}] * 2
