"""Nodes that stand still for a while."""

from replication.core.errors import ClaimLost
from tests.replication.core.stand import Stand


def test_a_primary_that_stood_still_does_not_blame_its_heir_for_it() -> None:
    """Its next claim would be as high as the one that the heir has made meanwhile, and might even win."""
    stand = Stand(3, stuck_ms=2_000).ready()
    old = stand["A"]
    ended = old.write(0, "k", "old")
    old.disk()
    old.up = False
    stand.see()
    stand.run(5_000)
    assert stand.claim("B").rank == (2, b"B")
    old.up = True
    stand.tick()
    assert old.state.storing == {}
    stand.see()
    stand.run(3_000)
    assert stand.claim("A").rank == (2, b"B")
    ((copies, error),) = ended
    assert copies == 0
    assert isinstance(error, ClaimLost)
