"""A commit is a frame; the window is bounded; nothing is sent twice, nothing left out is forgotten."""

from typing import Any

from replication.core import messages, replica, settling, streams
from replication.core.errors import WritersWait
from replication.core.state import Waiting
from tests.replication.core.stand import Stand


def frames(stand: Stand, a: str = "A", b: str = "B") -> list[list[Any]]:
    return [list(message) for message in stand.sent(messages.FRAME, a, b)]


def test_each_commit_is_one_frame_in_turn() -> None:
    stand = Stand(2).ready()
    before = len(frames(stand))
    for n in range(3):
        stand["A"].write(0, f"k{n}", n)
    stand["A"].disk()
    sent = frames(stand)[before:]
    numbers = [frame[3] for frame in sent]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert [frame[4] for frame in sent] == [1, 2, 3], "each names the sequence that it goes up to"


def test_nobody_gets_what_he_does_not_hold() -> None:
    stand = Stand(3, partitions=3).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    assert not [frame for frame in frames(stand, "A", "C") if frame[9]]
    assert [frame for frame in frames(stand, "A", "B") if frame[9]]


def test_a_slow_heir_gets_the_difference_as_one_frame() -> None:
    stand = Stand(2, window_rows=3, whole_rows=100).ready()
    for n in range(20):
        stand["A"].write(0, f"k{n % 5}", n)
    before = len(frames(stand))
    stand["A"].disk()
    state = stand["A"].state
    stream = state.peers[b"B"].stream
    assert stream.lagging
    assert len(frames(stand)) - before <= 5
    stand.work()
    assert not stream.lagging
    assert stream.inflight_rows == stream.inflight_bytes == 0
    assert stand["B"].store.values(0) == stand["A"].store.values(0)
    assert state.counts.differences == 1


def test_writers_wait_while_an_heir_lags_behind_a_full_window() -> None:
    stand = Stand(2, window_rows=3, whole_rows=100).ready()
    for n in range(20):
        stand["A"].write(0, f"k{n}", n)
    stand["A"].disk()
    assert isinstance(settling.writable(stand["A"].state, 0), WritersWait)
    stand.work()
    assert settling.writable(stand["A"].state, 0) is None


def test_a_difference_that_is_too_large_is_pulled_in_pieces_and_the_copy_is_not_complete_meanwhile() -> None:
    stand = Stand(2, window_rows=3, whole_rows=6, chunk_rows=2).ready()
    for n in range(30):
        stand["A"].write(0, f"k{n}", n)
    stand["A"].disk()
    incomplete = False
    for _ in range(400):
        for letter in "AB":
            stand[letter].disk(1)
        stand.deliver(count=1)
        part = stand["B"].state.parts[0]
        incomplete |= part.copy != 1
        if part.copy == 1:
            assert len(stand["B"].store.values(0)) in (range(7) if not incomplete else (30,))
    stand.run(2_000)
    assert incomplete
    assert stand["A"].state.parts[0].heir_live
    assert len(stand["B"].store.values(0)) == 30


def test_a_lost_frame_makes_the_stream_begin_anew_where_the_heir_is() -> None:
    stand = Stand(2).ready()
    stand["A"].write(0, "a", 1)
    stand.work()
    ended = stand["A"].write(0, "b", 2)
    stand["A"].disk()
    stand.links[b"A", b"B"].clear()
    later = stand["A"].write(0, "c", 3)
    stand["A"].disk()
    stand.run(3_000)
    assert ended == later == [(2, None)]
    starts = stand.sent(messages.START, "A", "B")
    assert starts[-1][3] == 1, "the heir had the first"
    assert starts[-1][4] == [0]


def test_the_last_frame_that_is_lost_is_missed_too() -> None:
    stand = Stand(2).ready()
    ended = stand["A"].write(0, "b", 2)
    stand["A"].disk()
    stand.links[b"A", b"B"].clear()
    stand.run(3_000)
    assert ended == [(2, None)]


def test_an_ack_that_comes_twice_or_late_teaches_nothing() -> None:
    stand = Stand(2).ready()
    stand["A"].write(0, "b", 2)
    stand.work()
    state = stand["A"].state
    peer = state.peers[b"B"]
    ack = stand.sent(messages.ACK, "B", "A")[-1]
    known = (peer.known.cursor(0), peer.stream.acked_number, peer.stream.acked)
    for wrong in (ack, [*ack[:3], 0, *ack[4:]], [*ack[:2], 999, *ack[3:]], [*ack[:3], 999, *ack[4:]]):
        replica.received(state, b"B", list(wrong))
        assert (peer.known.cursor(0), peer.stream.acked_number, peer.stream.acked) == known


def test_a_partition_that_a_peer_refuses_goes_to_it_no_longer() -> None:
    stand = Stand(3).ready()
    stand["A"].write(0, "k", 1)
    stand["A"].disk()
    state = stand["A"].state
    stream = state.peers[b"B"].stream
    refusal = [
        messages.ACK,
        state.incarnation,
        stream.session,
        stream.number,
        1,
        9,
        0,
        0,
        [[0, [8, b"C", None]]],
    ]
    replica.received(state, b"B", refusal)
    stand["A"].carry_out()
    assert stand.claim("A").rank == (8, b"C")
    assert stand.servers(0) == ""
    assert 0 not in stream.opened
    assert state.waiting == 0


def test_a_node_that_was_rolled_back_is_told_so_by_those_who_saw_more() -> None:
    stand = Stand(2).ready()
    state = stand["A"].state
    state.sequence = stand["A"].store.sequence = 5
    replica.received(state, b"B", [messages.KNOW, 2, state.incarnation, 99, [0], []])
    stand["A"].carry_out()
    assert ("rolled_back", {"peer": b"B", "partitions": 1}) in stand["A"].reports
    assert state.peers[b"B"].wanted or stand.sent(messages.PULL, "A", "B")


def test_an_heirs_commit_of_many_frames_is_one() -> None:
    stand = Stand(2).ready()
    for n in range(10):
        stand["A"].write(0, f"k{n}", n)
    stand["A"].disk()
    stand.deliver("A", "B")
    assert len(stand["B"].pending) == 1, "the first frame; the others wait for its disk"
    stand["B"].disk(1)
    assert len(stand["B"].pending) == 1, "and are the next commit together"
    stand["B"].disk(1)
    assert not stand["B"].pending
    assert len(stand["B"].store.values(0)) == 10


def test_marks_count_a_partition_once_its_opening_is_acknowledged() -> None:
    stand = Stand(2).ready()
    peer = stand["A"].state.peers[b"B"]
    assert streams.counted(peer, 0)
    peer.stream.opened[0] = peer.stream.acked_number + 1
    assert not streams.counted(peer, 0)
    assert not streams.counted(peer, 1)


def slow_reads(stand: Stand) -> list[Any]:
    """A's reads see what is there and take their time: the list gets their answers."""
    answers: list[Any] = []
    node = stand["A"]
    read = node._read

    def slow(wants: Any, limit: int, size: int, done: Any) -> None:
        read(wants, limit, size, lambda *found: answers.append(lambda: done(*found)))

    node._read = slow  # type: ignore[method-assign]
    return answers


def lagging(stand: Stand, writes: int = 10) -> Any:
    """A has written more than a window holds."""
    for n in range(writes):
        stand["A"].write(0, f"k{n}", n)
    stand["A"].disk()
    stream = stand["A"].state.peers[b"B"].stream
    assert stream.lagging
    return stream


def test_a_peer_lags_no_longer_though_there_is_a_write_during_each_read() -> None:
    stand = Stand(2, window_rows=3, whole_rows=100).ready()
    answers = slow_reads(stand)
    stream = lagging(stand, 6)
    stand.work()
    ended = stand["A"].write(0, "during", 1)
    stand.work()
    assert stream.lagging
    answers.pop()()
    stand["A"].carry_out()
    assert not stream.lagging
    stand.work()
    assert ended == [(2, None)]
    assert stream.behind_rows == stream.behind_bytes == 0
    assert stand["B"].store.values(0) == stand["A"].store.values(0)


def test_writers_wait_when_more_than_a_window_was_written_during_a_read() -> None:
    stand = Stand(2, window_rows=3, whole_rows=100).ready()
    answers = slow_reads(stand)
    stream = lagging(stand)
    stand.work()
    assert not stream.inflight
    assert isinstance(settling.writable(stand["A"].state, 0), WritersWait), "what was left out counts"
    answers.pop()()
    stand["A"].carry_out()
    assert settling.writable(stand["A"].state, 0) is None or stream.inflight_rows > 3
    stand.work()
    assert settling.writable(stand["A"].state, 0) is None


def test_a_difference_says_no_more_than_what_was_committed_and_told() -> None:
    """Its reader may see a commit of which the core hasn't heard: in a partition that it opens that is not in it."""
    stand = Stand(2, window_rows=3, whole_rows=100).ready()
    node = stand["A"]
    read = node._read

    def ahead(wants: Any, limit: int, size: int, done: Any) -> None:
        read(wants, limit, size, lambda error, head, *rest: done(error, head + 1, *rest))

    node._read = ahead  # type: ignore[method-assign]
    lagging(stand)
    stand.work()
    assert node.state.counts.differences
    assert max(frame[4] for frame in frames(stand)) == node.state.sequence


def test_an_urgent_frame_that_was_refused_settles_nothing() -> None:
    """The partition was opened anew behind it by the time that a later ack comes."""
    stand = Stand(2).ready()
    state = stand["A"].state
    stream = state.peers[b"B"].stream
    ended: list[Any] = []
    part = state.parts[0]
    part.early.append(Waiting(0, 7, lambda *how: ended.append(how)))
    state.waiting += 1
    state.waiting_on.add(0)
    stream.number = 9
    stream.urgent[7] = ((0, 7),)
    stream.opened[0] = 9
    ack = [messages.ACK, state.incarnation, stream.session, 8, 0, 2, 0, 0, []]
    replica.received(state, b"B", ack)
    stand["A"].carry_out()
    assert ended == []
