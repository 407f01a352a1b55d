"""A write ends once, with what became of it."""

from typing import Any

import pytest

from replication.claim import Claim
from replication.core import effects, settling
from replication.core.errors import ClaimLost, WritersWait
from replication.core.settings import ReplicaSettings
from replication.core.state import ASIDE, MOVING, SERVING, ReplicaState

HEIR = b"B"


def served(heir: bytes | None = HEIR, **settings: Any) -> ReplicaState:
    """Partitions 0 and 1 are served here; the heir's stream has both open since frame 1."""
    names = [b"A", b"B", b"C"]
    state = ReplicaState(
        b"A",
        names,
        2,
        lambda p: names,
        ReplicaSettings(**settings),
        incarnation=1,
        sequence=0,
        position=lambda incarnation, at: at,
    )
    for part in state.parts:
        part.claim, part.phase = Claim(3, b"A", heir), SERVING
    stream = state.peers[HEIR].stream
    stream.session, stream.number, stream.acked_number = 1, 5, 1
    stream.opened = {0: 1, 1: 1}
    return state


def write(state: ReplicaState, p: int, sequence: int) -> list[Any]:
    ended: list[Any] = []
    settling.writing(state, p)
    settling.written(state, p, sequence, lambda *how: ended.append(how))
    return ended


def carry_out(state: ReplicaState) -> None:
    for code, *rest in state.out:
        assert code == effects.DONE
        rest[0](*rest[1:])
    state.out.clear()


def test_without_an_heir_a_write_ends_at_once_and_says_so() -> None:
    state = served(heir=None)
    ended = write(state, 0, 1)
    carry_out(state)
    assert ended == [(1, None)]
    assert state.waiting == 0
    assert state.counts.single == 1


def test_an_ack_settles_what_it_covers_and_no_more() -> None:
    state = served()
    ends = [write(state, n % 2, n) for n in range(1, 7)]
    settling.reached(state, state.peers[HEIR], 4)
    carry_out(state)
    assert ends == [[(2, None)]] * 4 + [[]] * 2
    assert state.waiting == 2
    settling.reached(state, state.peers[HEIR], 6)
    carry_out(state)
    assert ends == [[(2, None)]] * 6
    assert state.waiting_on == set()


def test_another_peers_ack_settles_nothing() -> None:
    state = served()
    ended = write(state, 0, 1)
    settling.reached(state, state.peers[b"C"], 10)
    carry_out(state)
    assert ended == []


def test_an_ack_of_frames_before_the_partition_was_opened_settles_nothing() -> None:
    state = served()
    state.peers[HEIR].stream.opened[0] = 2
    ended = write(state, 0, 1)
    settling.reached(state, state.peers[HEIR], 10)
    carry_out(state)
    assert ended == []


def test_what_was_written_before_the_stream_was_open_waits_for_an_urgent_frame() -> None:
    state = served()
    del state.peers[HEIR].stream.opened[0]
    ended = write(state, 0, 1)
    settling.reached(state, state.peers[HEIR], 10)
    carry_out(state)
    assert ended == []
    later = write(state, 0, 5)
    settling.early_reached(state, state.parts[0], 4)
    carry_out(state)
    assert (ended, later) == ([(2, None)], [])
    assert state.waiting_on == {0}
    settling.early_reached(state, state.parts[0], 5)
    carry_out(state)
    assert later == [(2, None)]
    assert state.waiting == 0
    assert state.waiting_on == set()


def test_writes_end_in_the_order_in_which_they_were_made_also_over_a_new_stream() -> None:
    state = served()
    order: list[int] = []
    for n in range(1, 5):
        settling.writing(state, 0)
        settling.written(state, 0, n, lambda *_, n=n: order.append(n))
        if n == 2:
            settling.reopen(state.parts[0])
            del state.peers[HEIR].stream.opened[0]
    state.peers[HEIR].stream.opened[0] = 1
    settling.carry_on(state.parts[0])
    settling.reached(state, state.peers[HEIR], 10)
    carry_out(state)
    assert order == [1, 2, 3, 4]


def test_when_the_claim_goes_elsewhere_nobody_knows_and_that_is_said() -> None:
    state = served()
    ended, early = write(state, 0, 2), []
    state.parts[0].claim = Claim(4, b"C", b"A")
    settling.lose(state, state.parts[0])
    carry_out(state)
    ((copies, error),) = ended
    assert copies == 0
    assert isinstance(error, ClaimLost)
    assert "43" in str(error), "whose it is now"
    assert error.remedy in str(error)
    assert state.waiting == 0
    assert early == []


def test_when_the_heir_is_given_up_what_waits_stands_on_one_node() -> None:
    state = served()
    ended = write(state, 0, 1)
    settling.alone(state, state.parts[0])
    carry_out(state)
    assert ended == [(1, None)]
    assert state.counts.single == 1
    assert state.waiting_on == set()


@pytest.mark.parametrize("phase", [SERVING, MOVING])
def test_a_write_that_was_under_way_while_the_partition_stood_still_is_settled_as_others_are(
    phase: int,
) -> None:
    state = served()
    settling.writing(state, 0)
    state.parts[0].phase = phase
    ended: list[Any] = []
    settling.written(state, 0, 1, lambda *how: ended.append(how))
    settling.reached(state, state.peers[HEIR], 1)
    carry_out(state)
    assert ended == [(2, None)]
    assert state.parts[0].writing == 0


def test_a_write_that_was_under_way_when_the_claim_was_lost_is_lost() -> None:
    state = served()
    settling.writing(state, 0)
    state.parts[0].phase, state.parts[0].claim = ASIDE, Claim(4, b"B", b"A")
    ended: list[Any] = []
    settling.written(state, 0, 1, lambda *how: ended.append(how))
    carry_out(state)
    assert isinstance(ended[0][1], ClaimLost)
    assert state.counts.lost == 1


def test_what_the_store_did_not_take_is_under_way_no_more() -> None:
    state = served()
    settling.writing(state, 0)
    settling.unwritten(state, 0)
    assert state.parts[0].writing == 0
    assert state.out == []


def test_nothing_is_taken_for_a_partition_that_is_not_served_here() -> None:
    state = served()
    state.parts[0].phase = ASIDE
    assert isinstance(settling.writable(state, 0), ClaimLost)
    state.parts[1].ceased = True
    assert isinstance(settling.writable(state, 1), ClaimLost)
    state.parts[1].claim = None
    assert "no primary yet" in str(settling.writable(state, 1))


def test_writers_wait_when_the_heir_does_not_keep_up() -> None:
    state = served(window_rows=10, whole_rows=20)
    stream = state.peers[HEIR].stream
    stream.inflight_rows = 11
    assert settling.writable(state, 0) is None, "a full window alone: frames are gathered"
    stream.lagging = True
    assert isinstance(settling.writable(state, 0), WritersWait)


def test_writers_wait_when_too_many_wait_already() -> None:
    state = served(waiting_max=2)
    write(state, 0, 1)
    assert settling.writable(state, 0) is None
    write(state, 1, 2)
    assert isinstance(settling.writable(state, 0), WritersWait)


def look(state: ReplicaState, p: int) -> list[Any]:
    """A transaction that wrote nothing has ended."""
    ended: list[Any] = []
    settling.writing(state, p)
    settling.looked(state, p, lambda *how: ended.append(how))
    return ended


def test_what_wrote_nothing_ends_at_once_if_nothing_waits() -> None:
    for heir, copies in ((HEIR, 2), (None, 1)):
        state = served(heir=heir)
        ended = look(state, 0)
        carry_out(state)
        assert ended == [(copies, None)]
        assert (state.waiting, state.parts[0].writing) == (0, 0)


def test_what_wrote_nothing_is_settled_with_what_came_before_it() -> None:
    state = served()
    written, other = write(state, 0, 1), write(state, 1, 2)
    ended = look(state, 0)
    carry_out(state)
    assert ended == []
    settling.reached(state, state.peers[HEIR], 1)
    carry_out(state)
    assert written == ended == [(2, None)]
    assert other == []
    assert state.waiting == 1


def test_what_ends_behind_a_write_that_has_been_acknowledged_waits_for_no_frame() -> None:
    state = served()
    state.peers[HEIR].stream.acked = 4
    ended = write(state, 0, 4)
    carry_out(state)
    assert ended == [(2, None)]
    assert state.waiting == 0
    assert write(state, 0, 5) == []
    assert state.waiting_on == {0}


def test_what_ends_behind_an_acknowledged_write_is_settled_no_earlier_than_what_is_early() -> None:
    state = served()
    stream = state.peers[HEIR].stream
    stream.acked, stream.opened_at = 4, {0: 2}
    ends = [write(state, 0, 2), write(state, 0, 4)]
    carry_out(state)
    assert ends == [[], []]
    assert stream.urgent_wanted == {0}
    settling.early_reached(state, state.parts[0], 4)
    carry_out(state)
    assert ends == [[(2, None)]] * 2
    assert (state.waiting, state.waiting_on) == (0, set())


def test_an_ack_of_frames_before_the_one_that_opened_it_says_nothing_of_what_ends_now() -> None:
    state = served()
    stream = state.peers[HEIR].stream
    stream.acked, stream.opened = 4, {0: 2, 1: 1}
    ended = write(state, 0, 4)
    settling.reached(state, state.peers[HEIR], 4)
    carry_out(state)
    assert ended == []
    stream.acked_number = 2
    settling.reached(state, state.peers[HEIR], 4)
    carry_out(state)
    assert ended == [(2, None)]


def test_what_wrote_nothing_is_lost_with_the_claim() -> None:
    state = served()
    state.parts[0].phase = ASIDE
    ended = look(state, 0)
    carry_out(state)
    assert isinstance(ended[0][1], ClaimLost)


def test_a_write_that_was_committed_before_the_stream_was_opened_is_not_settled_by_the_opening() -> None:
    state = served()
    stream = state.peers[HEIR].stream
    # Its frame says: what came after 7 is in this frame or a later one. The writer of 7 hears of its commit only now.
    stream.opened[0], stream.opened_at[0] = 5, 7
    before, after = write(state, 0, 7), write(state, 0, 8)
    stream.acked_number = 5
    settling.reached(state, state.peers[HEIR], 8)
    carry_out(state)
    assert (before, after) == ([], [(2, None)])
    assert stream.urgent_wanted == {0}
    settling.early_reached(state, state.parts[0], 7)
    carry_out(state)
    assert before == [(2, None)]
    assert state.waiting == 0


def test_a_look_behind_writes_in_both_queues_waits_for_both() -> None:
    state = served()
    state.peers[HEIR].stream.opened_at = {0: 2}
    write(state, 0, 2)  # before the stream was opened: it goes in an urgent frame
    write(state, 0, 3)
    ended: list[Any] = []
    settling.writing(state, 0)
    settling.looked(state, 0, lambda *how: ended.append(how))
    settling.reached(state, state.peers[HEIR], 3)
    carry_out(state)
    assert ended == []
    settling.early_reached(state, state.parts[0], 2)
    carry_out(state)
    assert ended == [(2, None)]
    assert state.waiting == 0


def test_a_look_is_lost_if_one_of_what_it_waits_for_is() -> None:
    state = served()
    state.peers[HEIR].stream.opened_at = {0: 2}
    write(state, 0, 2)
    write(state, 0, 3)
    ended: list[Any] = []
    settling.writing(state, 0)
    settling.looked(state, 0, lambda *how: ended.append(how))
    settling.reached(state, state.peers[HEIR], 3)
    settling.lose(state, state.parts[0])
    carry_out(state)
    assert [(copies, type(error)) for copies, error in ended] == [(0, ClaimLost)]
