"""Groups with rows that are kept in memory only: what a node may serve when it has lost them."""

from copy import deepcopy

from replication.core import messages, replica
from replication.core.state import LIVE, NONE
from tests.replication.core.stand import Stand


def mixed(count: int = 2, **settings: int) -> Stand:
    """A served partition with a settled row on disc and one in memory."""
    stand = Stand(count, **settings)
    stand.ram = frozenset({"fleeting"})
    stand.ready()
    ended = [stand["A"].write(0, key, 1) for key in ("kept", "fleeting")]
    stand.run(1_500)
    assert ended == [[(2, None)]] * 2
    return stand


def all_down(stand: Stand) -> None:
    stand.crash(*(name.decode() for name in stand.names))


def test_a_primary_alone_waits_and_then_serves_what_is_on_disc() -> None:
    stand = mixed()
    all_down(stand)
    stand.start("A")
    stand.run(4_000)
    assert stand.servers(0) == "", "the heir may have more"
    stand.run(4_000)
    assert stand.servers(0) == "A"
    assert stand["A"].store.values(0) == {"kept": 1}
    assert stand["A"].reports == [("memory_lost", {"partition": 0})]


def test_an_heir_alone_waits_and_then_serves_what_is_on_disc() -> None:
    stand = mixed()
    all_down(stand)
    stand.start("B")
    stand.run(4_000)
    assert stand.servers(0) == ""
    stand.run(4_000)
    assert stand.servers(0) == "B"
    assert stand["B"].store.values(0) == {"kept": 1}


def test_a_complete_spare_alone_does_so_too() -> None:
    stand = mixed(3, copies=3)
    all_down(stand)
    stand.start("C")
    stand.run(12_000)
    assert stand.servers(0) == "C"
    assert stand["C"].store.values(0) == {"kept": 1}


def test_it_is_remembered_through_further_starts_that_end_too_soon() -> None:
    stand = mixed()
    all_down(stand)
    for _ in range(3):
        stand.start("A")
        stand.run(2_000)
        assert stand["A"].state.parts[0].thin
        stand.crash("A")
    stand.start("A")
    stand.run(8_000)
    assert stand.servers(0) == "A"


def test_all_that_come_back_together_are_served_and_the_same() -> None:
    stand = mixed()
    all_down(stand)
    stand.start()
    stand.run(12_000)
    assert len(stand.servers(0)) == 1
    assert stand.copies(0) == [{"kept": 1}] * 2


def test_who_has_rows_in_memory_is_asked_first() -> None:
    stand = mixed()
    stand.crash("A")
    stand.start("A")
    stand.run(8_000)
    assert stand.copies(0) == [{"kept": 1, "fleeting": 1}] * 2
    assert not any("memory_lost" in report for report in stand["A"].reports)


def test_a_primary_that_served_alone_takes_back_what_an_heir_still_has_in_memory() -> None:
    stand = mixed()
    stand.crash("A")
    stand.split("A", "B")
    stand.start("A")
    stand.run(8_000)
    assert "A" in stand.servers(0)
    stand.heal()
    stand.see()
    stand.run(8_000)
    assert len(stand.servers(0)) == 1
    assert stand.copies(0) == [{"kept": 1, "fleeting": 1}] * 2


def test_a_copy_that_was_being_filled_is_never_served_alone() -> None:
    stand = Stand(2, window_rows=4, whole_rows=8, chunk_rows=2)
    stand.ram = frozenset({"fleeting"})
    stand.start("A")
    stand.run(3_000)
    for n in range(40):
        stand["A"].write(0, f"k{n}", n)
    stand.work()
    stand.start("B")
    for _ in range(200):
        stand.tick()
        stand["A"].disk()
        stand.deliver(count=2)
        stand["B"].disk(1)
        claim = stand.claim("B")
        if claim is not None and claim.heir == b"B" and stand["B"].store.rows:
            break
    assert stand["B"].store.rows
    assert stand["B"].state.parts[0].copy == NONE
    stand["B"].disk()
    all_down(stand)
    stand.start("B")
    stand.run(30_000)
    assert not stand["B"].state.parts[0].thin
    assert stand.servers(0) == ""
    assert replica.status(stand["B"].state)["unserved"][0][0] == 0


def test_a_directory_that_is_older_than_its_claim_is_not_taken_for_one_that_lost_memory() -> None:
    stand = mixed()
    older = deepcopy(stand["A"].store)
    ended = stand["A"].write(0, "later", 1)
    stand.work()
    assert ended == [(2, None)]
    stand.crash("A")
    stand["A"].store = older
    stand.losing = frozenset({messages.YIELD, messages.CHUNK})
    stand.start("A")
    part = stand["A"].state.parts[0]
    thin = [part.thin]
    stand.run(1_000)
    thin.append(part.thin)
    assert thin == [True, False]
    stand.crash("B")
    stand.see()
    stand.run(20_000)
    assert stand.servers(0) == "", "it would serve what lacks settled writes"


def test_a_copy_behind_a_claim_that_went_on_without_it_is_only_incomplete() -> None:
    stand = mixed()
    stand.crash("B")
    stand.see()
    stand.run(1_000)
    assert stand.claim("A").heir is None
    stand["A"].write(0, "alone", 1)
    stand.work()
    stand.losing = frozenset({messages.START, messages.FRAME, messages.CHUNK})
    stand.start("B")
    stand.run(3_000)
    assert stand.claim("B").epoch > 1
    assert not stand["B"].state.parts[0].thin
    stand.crash("A")
    stand.see()
    stand.run(20_000)
    assert stand.servers(0) == ""


def test_a_partition_that_nobody_serves_is_listed_with_its_time() -> None:
    stand = mixed()
    assert replica.status(stand["A"].state)["unserved"] == []
    assert replica.status(stand["B"].state)["unserved"] == []
    all_down(stand)
    stand.start("A")
    stand.run(3_000)
    assert [p for p, _ in replica.status(stand["A"].state)["unserved"]] == [0]
    assert replica.status(stand["A"].state)["unserved"][0][1] >= 2_500
    stand.run(5_000)
    assert replica.status(stand["A"].state)["unserved"] == []
    assert stand["A"].state.parts[0].copy == LIVE
