"""How far a peer is behind in each table: counted until it is acknowledged, and as old as it is."""

from typing import Any

from replication.core import lagging
from replication.core.lagging import FRAMES_LOOKED_AT_MAX, behind, measured
from replication.core.state import Stream
from tests.replication.core.stand import TABLE, Stand


def send(stream: Stream, number: int, at: int, *parts: tuple[str, int]) -> None:
    """A frame with so many rows of each table."""
    rows, size, tables = measured((0, table, b"blob", count) for table, count in parts)
    stream.inflight.append((number, number, rows, size, at, tables))
    lagging.sent(stream, tables)


def take_in(stream: Stream) -> None:
    lagging.acknowledged(stream, stream.inflight.popleft()[5])


def test_each_table_is_behind_by_its_own_rows_and_as_old_as_its_oldest() -> None:
    stream = Stream()
    send(stream, 1, 1_000, ("message", 2), ("pair", 1), ("message", 3))
    send(stream, 2, 1_400, ("pair", 4))
    assert behind(stream, 1_500) == {"message": (5, 500), "pair": (5, 500)}
    take_in(stream)
    assert behind(stream, 1_500) == {"pair": (4, 100)}
    lagging.left_out(stream, {"pair": 2, "receipt": 1}, 1_450)
    assert behind(stream, 1_500) == {"pair": (6, 100), "receipt": (1, 50)}
    take_in(stream)
    assert behind(stream, 1_500) == {"pair": (2, 50), "receipt": (1, 50)}


def test_what_is_left_out_after_some_went_out_is_no_older_than_the_asking() -> None:
    stream = Stream()
    lagging.left_out(stream, {"pair": 2}, 1_000)
    lagging.left_out(stream, {"pair": 3}, 1_200)
    lagging.made_up(stream, {"pair": 2}, 1_100)
    assert behind(stream, 2_000) == {"pair": (3, 900)}
    lagging.made_up(stream, {"pair": 3}, 1_200)
    assert behind(stream, 2_000) == {}


def test_beyond_the_frames_that_are_looked_at_an_age_is_an_upper_bound() -> None:
    stream = Stream()
    for number in range(FRAMES_LOOKED_AT_MAX + 10):
        send(stream, number, 1_000 + number, ("message", 1))
    send(stream, 9_999, 9_000, ("pair", 1))
    found = behind(stream, 10_000)
    assert found["message"] == (FRAMES_LOOKED_AT_MAX + 10, 9_000)
    assert found["pair"] == (1, 10_000 - (1_000 + FRAMES_LOOKED_AT_MAX - 1))


def test_rows_wait_from_their_commit_until_the_peer_has_them() -> None:
    stand = Stand(2).ready()
    node: Any = stand["A"]
    stream = node.state.peers[b"B"].stream
    node.write(0, "a", 1)
    node.disk()
    assert behind(stream, node.state.now) == {TABLE: (1, 0)}
    node.state.now += 40
    node.write(0, "b", 2)
    node.disk()
    assert behind(stream, node.state.now) == {TABLE: (2, 40)}
    stand.work()
    assert behind(stream, node.state.now) == {}


def test_what_a_full_window_leaves_out_keeps_its_age_when_it_goes_out_at_last() -> None:
    stand = Stand(2, window_rows=3, whole_rows=100).ready()
    node: Any = stand["A"]
    stream = node.state.peers[b"B"].stream
    for n in range(10):
        node.write(0, f"k{n}", n)
    node.disk()
    assert stream.lagging
    assert behind(stream, node.state.now) == {TABLE: (10, 0)}
    began = node.state.now
    stand.deliver("A", "B", 4)
    node.state.now += 70
    stand["B"].disk()
    stand.deliver("B", "A")
    node.carry_out()
    node.disk()
    assert (stream.lagging, len(stream.inflight)) == (False, 1), "the difference was sent"
    assert behind(stream, node.state.now) == {TABLE: (6, node.state.now - began)}, (
        "sent as one, not acknowledged"
    )
    stand.work()
    assert behind(stream, node.state.now) == {}
