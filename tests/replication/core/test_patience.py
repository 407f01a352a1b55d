"""Peers whose answers take longer than it takes to ask again."""

from replication.core.state import LIVE
from tests.replication.core.stand import Stand


def test_a_copy_fills_from_a_peer_that_takes_longer_to_answer_than_a_retry() -> None:
    """Each answer was given up before it came, for ever."""
    stand = Stand(2, window_rows=4, whole_rows=8, chunk_rows=2)
    stand.start("A")
    stand.run(3_000)
    for n in range(20):
        stand["A"].write(0, f"k{n}", n)
    stand.work()
    stand.start("B")
    for _ in range(100):
        stand.deliver("B", "A")
        stand["A"].disk()
        for _ in range(8):
            stand.tick()
        stand.deliver("A", "B")
        stand["B"].disk()
    assert stand["B"].state.parts[0].copy == LIVE
    assert stand.copies(0) == [{f"k{n}": n for n in range(20)}] * 2
    assert stand["A"].state.counts.chunks_sent < 60


def test_patience_ends_when_answers_are_quick_again() -> None:
    stand = Stand(2, window_rows=4, whole_rows=8, chunk_rows=2)
    stand.start("A")
    stand.run(3_000)
    for n in range(40):
        stand["A"].write(0, f"k{n}", n)
    stand.work()
    stand.start("B")
    peer = stand["B"].state.peers[b"A"]
    peer.patience = 64
    stand.run(5_000)
    assert stand["B"].state.parts[0].copy == LIVE
    assert peer.patience == 1
