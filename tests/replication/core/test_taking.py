"""Who claims, and when; and who doesn't."""

from replication.core import replica, taking
from replication.core.state import DEAD, LIVE, NONE, SILENT
from tests.replication.core.stand import Stand


def test_a_starting_node_listens_before_it_claims() -> None:
    stand = Stand(2)
    stand.start("A")
    stand.run(1_000)
    assert stand.claim("A") is None
    stand.run(2_000)
    assert stand.servers(0) == "A"


def test_a_starting_node_that_has_heard_everybody_need_not_wait() -> None:
    stand = Stand(2)
    stand.start()
    stand.run(700)
    assert stand.servers(0) == "A"


def test_a_node_that_starts_later_claims_nothing_that_is_served() -> None:
    stand = Stand(3)
    stand.start("B", "C")
    stand.run(4_000)
    assert stand.servers(0) == "B"
    stand.start("A")
    stand.run(5_000)
    assert stand.servers(0) == "B", "though A ranks first"


def test_the_heir_takes_over_and_nobody_else() -> None:
    stand = Stand(4).ready()
    stand.crash("A")
    stand.dead("A", "B", "C", "D")
    stand.run(3_000)
    assert stand.servers(0) == "B"
    assert stand["B"].state.counts.takeovers == 1
    assert stand["C"].state.counts.takeovers == stand["D"].state.counts.takeovers == 0


def test_a_silent_primary_is_not_taken_over_from() -> None:
    stand = Stand(3).ready()
    stand.crash("A")
    for letter in "BC":
        replica.liveness(stand[letter].state, b"A", SILENT)
        stand[letter].carry_out()
    stand.run(5_000)
    assert stand.servers(0) == ""
    assert stand.claim("B").rank == (1, b"A")


def test_a_silent_node_is_not_chosen_as_an_heir() -> None:
    stand = Stand(4).ready()
    replica.liveness(stand["A"].state, b"C", SILENT)
    stand.dead("B", "A")
    stand["A"].carry_out()
    stand["A"].disk()
    assert stand.claim("A").heir == b"D"


def test_an_incomplete_heir_does_not_take_over() -> None:
    stand = Stand(3).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    part = stand["B"].state.parts[0]
    part.copy = NONE
    stand.crash("A")
    stand.dead("A", "B", "C")
    stand.run(5_000)
    assert stand.servers(0) == "", "it would serve what lacks settled writes"
    stand.start("A")
    stand.run(5_000)
    assert stand.servers(0) == "A"


def test_a_complete_spare_takes_over_when_primary_and_heir_are_dead() -> None:
    stand = Stand(4, copies=3).ready()
    ended = stand["A"].write(0, "k", 1)
    stand.work()
    assert ended == [(2, None)]
    assert stand["C"].state.parts[0].copy == LIVE
    stand.crash("A", "B")
    stand.dead("A", "C", "D")
    stand.dead("B", "C", "D")
    stand.run(6_000)
    assert stand.servers(0) == "C"
    assert stand["C"].store.values(0) == {"k": 1}


def test_a_lost_heir_is_replaced_by_the_next_in_rank_and_writes_settle_there_while_it_fills() -> None:
    stand = Stand(3, chunk_rows=1).ready()
    for n in range(10):
        stand["A"].write(0, f"k{n}", n)
    stand.work()
    stand.crash("B")
    stand.dead("B", "A", "C")
    ended = stand["A"].write(0, "new", 1)
    for _ in range(8):
        stand["A"].disk()
        stand.deliver()
        stand["C"].disk(2)
        if ended:
            break
    assert stand.claim("A").heir == b"C"
    assert ended == [(2, None)]
    assert stand["C"].state.parts[0].copy != LIVE
    stand.run(4_000)
    assert stand["C"].state.parts[0].copy == LIVE


def test_without_anybody_else_the_primary_goes_on_alone_and_takes_an_heir_when_there_is_one() -> None:
    stand = Stand(2).ready()
    stand.crash("B")
    stand.dead("B", "A")
    stand["A"].disk()
    assert stand.claim("A").heir is None
    ended = stand["A"].write(0, "k", 1)
    stand.work()
    assert ended == [(1, None)]
    stand.start("B")
    stand.run(5_000)
    assert stand.claim("A").heir == b"B"
    assert stand["B"].store.values(0) == {"k": 1}


def test_of_two_copies_only_one_is_wanted_where_one_is_wanted() -> None:
    stand = Stand(2, copies=1).ready()
    assert stand.claim("A").heir is None
    ended = stand["A"].write(0, "k", 1)
    stand.work()
    assert ended == [(1, None)]


def test_the_heir_that_is_chosen_is_the_one_that_need_not_fill() -> None:
    stand = Stand(4, copies=3).ready()
    state = stand["A"].state
    part = state.parts[0]
    assert taking.choose(state, part) == b"B"
    assert taking.choose(state, part, but=b"B") == b"C"
    replica.liveness(state, b"C", DEAD)
    state.out.clear()
    assert taking.choose(state, part, but=b"B") == b"D"


def test_what_isnt_looked_at_needs_no_look() -> None:
    stand = Stand(4, partitions=8).ready()
    looked_at = 0

    def look(letters: str) -> None:
        nonlocal looked_at
        for letter in letters:
            state = stand[letter].state
            restless = list(taking._restless(state))
            looked_at += len(restless)
            for part in state.parts:
                if part not in restless:
                    before = len(state.out)
                    assert taking._look(state, part) is None, (letter, part.number)
                    assert len(state.out) == before

    look("ABCD")
    assert looked_at == 0, "nothing goes on"
    stand.crash("A")
    stand.dead("A", "B", "C", "D")
    look("BCD")
    assert looked_at
    for _ in range(30):
        stand.run(200)
        look("BCD")
    stand.start("A")
    for _ in range(30):
        stand.run(200)
        look("ABCD")
