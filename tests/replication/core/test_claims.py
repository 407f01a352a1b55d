"""The highest claim wins; one's own is used once it is durable; a copy stays complete only if it surely is."""

from typing import Any

import pytest

from replication.claim import Claim
from replication.core import claims, effects, holders, messages
from replication.core.errors import ClaimLost
from replication.core.state import ASIDE, LIVE, NONE, SERVING, VOID
from tests.replication.core.stand import Node, Stand


def told(node: Node, claim: Claim, p: int = 0) -> None:
    claims.learn(node.state, [[p, claim.row()]])
    node.carry_out()


@pytest.fixture
def stand() -> Stand:
    """A serves partition 0, B is its heir, C holds nothing."""
    return Stand(3).ready()


def test_the_higher_epoch_wins_and_then_the_higher_node() -> None:
    assert Claim(2, b"A").beats(Claim(1, b"B"))
    assert Claim(1, b"B").beats(Claim(1, b"A"))
    assert not Claim(1, b"A").beats(Claim(1, b"A", b"C")), "the heir decides nothing"
    assert Claim(1, b"A").beats(None)


def test_a_lower_claim_changes_nothing(stand: Stand) -> None:
    told(stand["A"], Claim(0, b"C", b"B"))
    assert stand.claim("A").rank == (1, b"A")
    assert stand.servers(0) == "A"


def test_a_primary_steps_down_at_once_and_its_writers_are_told(stand: Stand) -> None:
    node = stand["A"]
    ended = node.write(0, "k", 1)
    node.disk()
    told(node, Claim(2, b"C", b"A", prior=(1, b"A")))
    assert stand.servers(0) == ""
    assert isinstance(ended[0][1], ClaimLost)
    assert node.state.parts[0].phase == ASIDE


def test_a_claim_is_not_used_before_it_is_durable(stand: Stand) -> None:
    stand.crash("A")
    node = stand["B"]
    before = len(stand.sent(messages.CLAIMS, "B"))
    claims.make(node.state, [(0, b"C")])
    node.carry_out()
    stand.tick()
    assert stand.claim("B").rank == (1, b"A")
    assert len(stand.sent(messages.CLAIMS, "B")) == before
    node.disk()
    stand.tick()
    assert stand.claim("B").rank == (2, b"B")
    assert len(stand.sent(messages.CLAIMS, "B")) == before + 2, "everybody is told"
    assert node.store.own["claim", 0] == Claim(2, b"B", b"C", prior=(1, b"A"), whole=True).row()


def test_a_claim_that_cannot_be_written_is_not_used(stand: Stand) -> None:
    state = stand["B"].state
    claims.make(state, [(0, b"C")])
    ((code, rows, done),) = state.out
    state.out.clear()
    assert code == effects.STORE
    assert rows[0] == (("claim", 0), Claim(2, b"B", b"C", prior=(1, b"A"), whole=True).row())
    done(OSError("full"))
    assert state.parts[0].claim.rank == (1, b"A")
    assert state.parts[0].phase == ASIDE
    assert state.storing == {}


def test_a_claim_that_is_beaten_while_it_is_written_is_not_used(stand: Stand) -> None:
    node = stand["B"]
    claims.make(node.state, [(0, b"A")])
    told(node, Claim(5, b"C", b"A"))
    node.disk()
    assert stand.claim("B").rank == (5, b"C")
    assert stand.servers(0) == "A", "B doesn't serve"
    stand.tick()
    node.disk()
    assert node.store.own["claim", 0] == Claim(5, b"C", b"A").row(), "and what is durable says so"


def test_a_claim_that_is_being_written_is_not_given_up_for_a_lower_one(stand: Stand) -> None:
    node = stand["B"]
    claims.make(node.state, [(0, b"A")])
    told(node, Claim(1, b"B", b"A"))
    node.disk()
    assert stand.claim("B").rank == (2, b"B")


def test_an_heir_stays_complete_under_the_next_claim_if_it_names_it_again(stand: Stand) -> None:
    told(stand["B"], Claim(2, b"C", b"B", prior=(1, b"A")))
    assert stand["B"].state.parts[0].copy == LIVE


@pytest.mark.parametrize(
    "claim",
    [
        Claim(2, b"C", b"A", prior=(1, b"A")),
        Claim(3, b"C", b"B", prior=(2, b"A")),
        Claim(2, b"C", b"B"),
        Claim(2, b"C", None, prior=(1, b"A")),
    ],
    ids=["another heir", "a claim between", "follows nothing", "no heir"],
)
def test_otherwise_it_must_fill_again(stand: Stand, claim: Claim) -> None:
    told(stand["B"], claim)
    assert stand["B"].state.parts[0].copy == NONE


def test_a_copy_that_missed_the_purge_of_tombstones_is_void(stand: Stand) -> None:
    stand["A"].write(0, "k", 1)
    stand.work()
    part = stand["C"].state.parts[0]
    part.copy, part.asof, part.touched = NONE, 2, {b"A": 0}
    told(stand["C"], Claim(5, b"A", b"B", floor=4, prior=(1, b"A")))
    assert part.copy == VOID


def test_an_empty_copy_has_missed_nothing(stand: Stand) -> None:
    part = stand["C"].state.parts[0]
    part.copy, part.asof, part.touched = NONE, 2, {}
    told(stand["C"], Claim(5, b"A", b"B", floor=4, prior=(1, b"A")))
    assert part.copy == NONE
    assert part.asof == 4


def test_a_claim_of_ones_own_that_one_does_not_remember_is_of_an_older_directory(stand: Stand) -> None:
    told(stand["A"], Claim(7, b"A", b"B"))
    assert stand["A"].state.parts[0].copy == NONE
    assert ("older_directory", {"partition": 0}) in stand["A"].reports
    assert stand.servers(0) == "", "it may lack what was settled"


def test_two_nodes_that_know_the_same_claims_have_the_same_digest(stand: Stand) -> None:
    one, other = stand["A"].state, stand["C"].state
    assert claims.digest(one) == claims.digest(other)
    told(stand["C"], Claim(9, b"B", b"A"))
    assert claims.digest(one) != claims.digest(other)


def test_a_serving_partition_without_a_complete_heir_is_counted_and_timed() -> None:
    stand = Stand(2)
    stand.start("A")
    stand.run(4_000)
    state = stand["A"].state
    part = state.parts[0]
    assert part.phase == SERVING
    assert part.single_since is not None
    stand.start("B")
    stand.run(5_000)
    assert part.single_since is None


def test_only_a_complete_primary_names_holders() -> None:
    stand = Stand(4, copies=3).ready()
    state = stand["A"].state
    assert holders.of(state, state.parts[0]) == {b"B", b"C"}
    state.parts[0].copy = NONE
    assert holders.of(state, state.parts[0]) == set()
    other: Any = stand["B"].state
    assert holders.of(other, other.parts[0]) == set()
