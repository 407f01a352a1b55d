"""How far copies are that fill."""

from replication.core import replica
from tests.replication.core.stand import Stand


def test_a_copy_that_fills_says_how_far_it_is() -> None:
    stand = Stand(2, window_rows=4, whole_rows=8, chunk_rows=2)
    stand.start("A")
    stand.run(3_000)
    for n in range(20):
        stand["A"].write(0, f"k{n}", n)
    stand.work()
    assert replica.status(stand["A"].state)["filling"] == []
    stand.start("B")
    seen = [0.0]
    for _ in range(400):
        for name in "AB":
            stand[name].disk(1)
        stand.deliver("A", "B", 1)
        stand.deliver("B", "A", 1)
        stand.tick()
        shares = replica.status(stand["B"].state)["filling"]
        assert all(p == 0 and seen[-1] <= share <= 1 for p, share in shares)
        seen += [share for _, share in shares]
    assert len(set(seen)) > 3
    assert replica.status(stand["B"].state)["filling"] == []
    assert stand.copies(0) == [{f"k{n}": n for n in range(20)}] * 2
