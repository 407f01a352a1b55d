"""When a copy is complete, and when it isn't any more."""

from replication.core import claims
from replication.core.state import LIVE, NONE
from tests.replication.core.stand import Stand


def test_a_copy_that_is_not_kept_up_to_date_any_more_is_not_complete() -> None:
    """Neither if the stream goes on without it, nor if it was away when another node became the heir."""
    stand = Stand(3).ready()
    claims.make(stand["A"].state, [(0, b"C")])
    stand["A"].carry_out()
    stand.run(2_000)
    stand["A"].write(0, "k", 1)
    stand.work()
    assert [stand[name].state.parts[0].copy for name in "ABC"] == [LIVE, NONE, LIVE]
    assert stand.copies(0) == [{"k": 1}] * 2
    stand["A"].write(0, "k", 2)
    stand["A"].disk()
    for _ in range(130):
        stand.deliver("A", "B")
        stand.deliver("B", "A")
        stand["A"].disk()
        stand["B"].disk()
        stand.tick()
    assert stand.claim("A").heir == b"B"
    stand.run(2_000)
    assert [stand[name].state.parts[0].copy for name in "ABC"] == [LIVE, LIVE, NONE]
