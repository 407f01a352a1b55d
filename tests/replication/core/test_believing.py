"""What may be believed of others: a life that was lost, a claim that the stream has not reached, a rank used twice."""

from copy import deepcopy

from replication.claim import Claim
from replication.core import claims, messages, replica
from replication.core.state import LIVE
from tests.replication.core.stand import Stand


def test_what_came_from_a_life_that_is_lost_is_not_its_successors() -> None:
    """The primary's directory is set back: what it had sent to its heir meanwhile is no longer its own there."""
    stand = Stand(2).ready()
    node = stand["A"]
    image = deepcopy(node.store)
    node.write(0, "k", 1)
    stand.work()
    part = stand["B"].state.parts[0]
    assert part.foreign(b"A") == 0
    stand["B"].state.peers[b"A"].known.forget(0)  # so that it can't tell how much it has seen
    stand.crash("A")
    node.store = image
    stand.start("A")
    stand.run(1_000)
    assert part.foreign(b"A") == stand["B"].store.sequence
    stand.run(5_000)
    assert stand.copies(0) == [{"k": 1}] * 2


def test_what_it_has_proven_to_have_stays_its_own() -> None:
    stand = Stand(2).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    stand.crash("A")
    stand.start("A")
    stand.run(5_000)
    assert stand["B"].state.parts[0].foreign(b"A") == 0


def test_a_chunk_of_a_lost_life_that_comes_late_is_nobodys_own() -> None:
    stand = Stand(2).ready()
    part = stand["B"].state.parts[0]
    peer = stand["B"].state.peers[b"A"]
    stand["A"].write(0, "k", 1)
    stand["A"].disk()
    stand.links[b"A", b"B"].clear()
    peer.wanted[0] = -1
    replica.tick(stand["B"].state)
    stand["B"].carry_out()
    stand.deliver("B", "A")
    stand["A"].disk()
    peer.source.incarnation += 100
    stand.deliver("A", "B")
    stand["B"].disk()
    assert stand["B"].store.values(0) == {"k": 1}
    assert part.foreign(b"A") == stand["B"].store.sequence


def test_a_copy_is_complete_under_a_claim_when_the_stream_has_come_so_far() -> None:
    """A spare hears that it is heir before it has what was settled with the former one."""
    stand = Stand(3, copies=3).ready()
    stand["A"].write(0, "k", 1)
    stand["A"].disk()
    late = stand.links[b"A", b"C"].copy()
    stand.links[b"A", b"C"].clear()
    stand.work()
    claims.make(stand["A"].state, [(0, b"C")])
    stand["A"].carry_out()
    stand["A"].disk()
    late += stand.links[b"A", b"C"]
    stand.links[b"A", b"C"].clear()
    replica.received(stand["C"].state, b"A", [messages.CLAIMS, claims.rows_of(stand["A"].state, [0])])
    stand["C"].carry_out()
    assert stand.claim("C").heir == b"C"
    for _ in range(20):
        stand["C"].disk()
        stand.tick()
        stand.links[b"A", b"C"].clear()
    assert not [
        told for told in stand.sent(messages.LIVE, "C", "A") if told[5][0][1] == stand.claim("C").epoch
    ]
    assert not stand["A"].state.parts[0].heir_live
    stand.links[b"A", b"C"].extend(late)
    stand.run(2_000)
    assert stand["A"].state.parts[0].heir_live
    assert stand["C"].store.values(0) == {"k": 1}
    assert stand["C"].state.parts[0].copy == LIVE


def test_a_rank_that_a_former_life_used_otherwise_is_not_kept() -> None:
    """A node whose directory was set back claims what it has claimed before, with another heir."""
    stand = Stand(3).ready()
    other = Claim(1, b"A", b"C")
    assert stand.claim("A").rank == other.rank
    for node in (stand["B"], stand["C"]):
        node.state.parts[0].claim = other
    stand.run(6_000)
    assert {stand.claim(letter) for letter in "ABC"} == {stand.claim("A")}
    assert stand.claim("A").rank > other.rank
    assert "claimed_twice" in [what for what, _ in stand["A"].reports]
    assert stand.servers(0) == "A"
