"""A partition is pledged to one claim at a time, and to the next one when that has what was given out under it."""

import attrs
import pytest

from replication.core import members, messages, pledging, replica
from replication.core.state import DEAD
from tests.replication.core.stand import Stand


def ask(stand: Stand, letter: str, *partitions: int) -> None:
    node = stand[letter]
    for p in partitions or (0,):
        pledging.ask(node.state, p)
    node.carry_out()


def pledged(stand: Stand, letter: str, ms: int = 1_000) -> str:
    """Who has pledged partition 0 to a node's claim, when it was asked for that and some time has gone by."""
    ask(stand, letter)
    stand.run(ms)
    state = stand[letter].state
    return "".join(name.decode() for name in stand.names if pledging.is_pledged(state, 0, name))


def give(stand: Stand, letter: str, key: str) -> None:
    """Something is given out, once a majority has pledged."""
    assert 2 * len(pledged(stand, letter)) > len(stand.names)
    pledging.stands(stand[letter].state, 0)
    ended = stand[letter].write(0, key, f"of {letter}")
    stand.run(1_000)
    assert ended == [(2, None)]


def refused(stand: Stand) -> int:
    return sum(node.state.counts.pledges_refused for node in stand.nodes.values())


def twice_split() -> Stand:
    """A gave out something with C and D, unheard by B, the former heir; and now B has a majority, with D."""
    stand = Stand(5, check_ms=0).ready()
    give(stand, "A", "before")
    stand.split("ACD", "BE")
    stand.see()
    stand.run(4_000)
    give(stand, "A", "number")
    assert stand.servers(0) == "AB"
    stand.split("AC", "BDE")
    stand.see()
    stand.run(2_000)
    assert stand.claim("D").primary == b"B"
    return stand


def test_everybody_pledges_within_one_round_trip() -> None:
    stand = Stand(3).ready()
    ask(stand, "A")
    assert not pledging.is_pledged(stand["A"].state, 0, b"A"), "not before it is durable"
    stand.work()
    assert pledged(stand, "A", 0) == "ABC"
    assert len(stand.sent(messages.PLEDGE)) == len(stand.sent(messages.PLEDGED)) == 2


def test_many_partitions_are_asked_for_with_one_word() -> None:
    stand = Stand(3, partitions=30).ready()
    ask(stand, "A", *range(30))
    stand.work()
    served = [p for p in range(30) if "A" in stand.servers(p)]
    assert all(pledging.is_pledged(stand["A"].state, p, b"C") for p in served)
    asked = stand.sent(messages.PLEDGE, "A", "B")
    assert [len(message[2]) for message in asked] == [1, len(served) - 1], (
        "the others go when the first is answered"
    )


def test_a_majority_after_a_second_split_hears_of_what_the_first_one_gave_out() -> None:
    stand = twice_split()
    assert pledged(stand, "B", 3_000) == "BE"
    stand.heal()
    stand.see()
    stand.run(1_000)
    assert pledged(stand, "B", 3_000) == "ABCDE"
    assert stand["B"].store.values(0)["number"] == "of A"


def test_what_is_to_be_taken_in_first_is_waited_for() -> None:
    stand = twice_split()
    stand.heal()
    stand.losing = frozenset({messages.CHUNK})
    stand.see()
    assert "D" not in pledged(stand, "B", 3_000)
    stand.losing = frozenset()
    assert pledged(stand, "B", 4_000) == "ABCDE"


def test_a_complete_heir_has_what_was_given_out() -> None:
    """The heir of A's claim is on the other side of the second split."""
    stand = Stand(5, check_ms=0).ready()
    stand.split("ACD", "BE")
    stand.see()
    stand.run(4_000)
    give(stand, "A", "number")
    assert stand.claim("A").heir == b"C"
    stand.split("AD", "BCE")
    stand.see()
    stand.run(2_000)
    server = stand.servers(0).replace("A", "")
    assert pledged(stand, server, 3_000) == "BCE"
    assert stand[server].store.values(0)["number"] == "of A"


def test_a_pledge_is_remembered_over_an_end() -> None:
    stand = twice_split()
    stand.crash("D")
    stand.see()
    stand.run(500)
    stand.start("D")
    stand.run(3_000)
    assert pledged(stand, "B", 2_000) == "BE"


def test_a_chain_of_heirs_is_pledged_what_the_first_one_only_asked_for() -> None:
    """A was pledged for a PIN that nobody used; neither it nor those that took over from it come back."""
    stand = Stand(8, check_ms=0).ready()
    assert pledged(stand, "A") == "ABCDEFGH"
    for letter in "ABC":
        stand.crash(letter)
        stand.see()
        stand.run(6_000)
    (server,) = stand.servers(0)
    assert pledged(stand, server, 2_000) == "DEFGH"


@pytest.mark.parametrize("moves", [1, 10])
@pytest.mark.parametrize("heard", ["ABCDE", "ABC", "AC"])
def test_planned_moves_may_come_between(moves: int, heard: str) -> None:
    """Whoever else was to pledge to A's first claim didn't hear that. Nobody was told that a majority had."""
    stand = Stand(5, check_ms=0).ready()
    stand.split(heard, "".join(name.decode() for name in stand.names if name.decode() not in heard))
    pledged(stand, "A", 200)
    stand.heal()
    stand.see()
    stand.run(1_000)
    for _ in range(moves):
        (server,) = stand.servers(0)
        replica.move(stand[server].state, 0, b"B" if server == "A" else b"A", lambda copies, error: None)
        stand[server].carry_out()
        stand.run(2_500)
    for letter in "AB":
        stand.crash(letter)
        stand.see()
        stand.run(6_000)
    (server,) = stand.servers(0)
    assert pledged(stand, server, 3_000) == "CDE"
    assert not refused(stand)


def test_who_left_a_partition_out_of_its_answer_is_asked_again() -> None:
    stand = Stand(3, check_ms=0).ready()
    state = stand["B"].state
    claim = state.parts[0].claim
    assert claim is not None
    state.storing[0] = attrs.evolve(claim, primary=b"B")  # it isn't durable yet
    assert pledged(stand, "A", 500) == "AC"
    del state.storing[0]
    stand.run(1_000)
    assert pledging.is_pledged(stand["A"].state, 0, b"B")


def test_who_is_gone_for_good_isnt_waited_for() -> None:
    stand = twice_split()
    assert pledged(stand, "B", 2_000) == "BE"
    for letter in "BDE":
        for gone in (b"A", b"C"):
            members.removed(stand[letter].state, gone)
    stand.run(1_000)
    assert pledged(stand, "B", 2_000) == "BDE"


@pytest.mark.parametrize("known", [True, False])
def test_an_heir_that_takes_over_is_pledged_at_once(known: bool) -> None:
    stand = Stand(3, check_ms=0).ready()
    give(stand, "A", "number")
    stand.crash("A")
    stand.see()
    stand.run(3_000)
    if known:
        give(stand, "B", "next")
    stand.start("A")
    stand.run(4_000)
    moved: list[object] = []
    replica.move(stand["B"].state, 0, b"A", lambda copies, error: moved.append(error))
    stand["B"].carry_out()
    stand.run(3_000)
    assert stand.servers(0) == "A", moved
    before = len(stand.sent(messages.PLEDGE))
    assert pledged(stand, "A") == "ABC"
    assert len(stand.sent(messages.PLEDGE)) == before + 2
    assert not refused(stand)


def test_who_was_away_for_some_claims_pledges_to_a_later_one() -> None:
    stand = Stand(3, check_ms=0).ready()
    give(stand, "A", "first")
    stand.crash("C")
    stand.see()
    stand.run(1_000)
    stand.crash("A")
    stand.start("A")
    stand.run(4_000)
    server = stand.servers(0)
    give(stand, server, "second")
    other = "AB".replace(server, "")
    stand.run(4_000)
    stand.crash(server)
    stand.start("C")
    stand.see()
    stand.run(6_000)
    assert stand.servers(0) == other
    assert pledged(stand, other) == "".join(sorted(other + "C"))
    assert not refused(stand)


def test_an_answer_to_a_claim_that_is_beaten_counts_for_nothing() -> None:
    stand = Stand(3, check_ms=0).ready()
    ask(stand, "A")
    stand["B"].state.now = stand.now
    replica.force(stand["B"].state, 0)
    stand["B"].disk()
    stand.run(1_000)
    assert stand.claim("A").primary == b"B"
    assert pledged(stand, "A") == ""
    assert "B" in pledged(stand, "B")


def test_where_not_everybody_understands_the_word_nobody_is_asked() -> None:
    stand = Stand(3).ready()
    stand["A"].state.pledges = False
    assert pledged(stand, "A") == "ABC"
    assert not stand.sent(messages.PLEDGE)


def test_who_was_not_there_is_asked_again() -> None:
    stand = Stand(3).ready()
    stand.losing = frozenset({messages.PLEDGED})
    assert pledged(stand, "A") == "A"
    stand.losing = frozenset()
    stand.run(1_000)
    assert pledged(stand, "A", 0) == "ABC"
    replica.liveness(stand["A"].state, b"C", DEAD)
    assert pledged(stand, "A", 0) == "ABC", "a pledge holds until another claim"
