"""Who lacks something asks whoever has more to serve."""

from copy import deepcopy

from tests.replication.core.stand import Stand


def test_a_primary_with_an_older_directory_asks_its_heir_to_serve() -> None:
    stand = Stand(2).ready()
    stand.run(1_500)
    older = deepcopy(stand["A"].store)
    stand["A"].write(0, "k", 1)
    stand.work()
    stand.crash("A")
    stand["A"].store = older
    stand.start("A")
    stand.run(8_000)
    assert stand.servers(0) == "B"
    assert stand["A"].store.values(0) == {"k": 1}


def test_a_primary_that_lost_its_directory_fills_from_its_heir() -> None:
    stand = Stand(2).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    stand.crash("A")
    stand["A"].store = type(stand["A"].store)()
    stand.start("A")
    stand.run(8_000)
    assert stand.servers(0) in ("A", "B")
    assert stand.copies(0) == [{"k": 1}] * 2
