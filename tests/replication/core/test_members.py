"""Members that come and go while replicas run: who came is heard of, who was removed is dead for good."""

from replication.core import claims, members, messages, pulling, replica
from replication.core.state import ALIVE, SERVING
from tests.replication.core.stand import Stand


def remove(stand: Stand, letter: str) -> None:
    """An operator removes a node that is down."""
    gone = letter.encode()
    stand.names.remove(gone)
    stand.links = {link: said for link, said in stand.links.items() if gone not in link}
    node = stand.nodes.pop(gone)
    assert not node.up
    for other in stand.nodes.values():
        members.removed(other.state, gone)
        replica.placed(other.state)
        other.carry_out()


def test_who_is_added_gets_copies_and_claims() -> None:
    stand = Stand(3, partitions=3)
    late = stand.names.pop()
    stand.start("A", "B")
    stand.run(4_000)
    stand.names.append(late)
    stand.start("C")
    for letter in "AB":
        members.added(stand[letter].state, late)
        members.added(stand[letter].state, late)  # told twice is told
        replica.placed(stand[letter].state)
    stand.see()
    stand.run(3_000)
    assert [part.claim for part in stand["C"].state.parts] == [part.claim for part in stand["A"].state.parts]
    done: list[object] = []
    p = next(p for p in range(3) if stand["A"].state.parts[p].phase == SERVING)
    replica.move(stand["A"].state, p, late, lambda *what: done.append(what))
    stand.run(3_000)
    assert done == [(0, None)]
    assert stand["C"].state.parts[p].phase == SERVING


def test_who_is_removed_is_waited_for_no_longer() -> None:
    stand = Stand(3).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    stand.crash("A")  # nobody calls it dead: the detectors have not come so far
    remove(stand, "A")
    stand.run(1_000)
    assert stand["B"].serves
    claim = stand["B"].state.parts[0].claim
    assert claim is not None
    assert (claim.primary, claim.heir) == (b"B", b"C")


def test_an_heir_that_is_removed_is_replaced_and_nothing_waits_for_it() -> None:
    stand = Stand(3).ready()
    stand.crash("B")
    ended = stand["A"].write(0, "k", 1)
    stand.work()
    assert not ended
    remove(stand, "B")
    stand.run(2_000)
    assert ended == [(2, None)]
    claim = stand["A"].state.parts[0].claim
    assert claim is not None
    assert claim.heir == b"C"


def test_an_heir_that_is_to_go_and_has_no_successor_goes() -> None:
    stand = Stand(2).ready()
    for letter in "AB":
        stand[letter].state.ranked = lambda p: [b"A"]
        replica.placed(stand[letter].state)
    stand.run(3_000)
    claim = stand["A"].state.parts[0].claim
    assert claim is not None
    assert (claim.primary, claim.heir) == (b"A", None)
    assert stand["A"].state.parts[0].phase == SERVING
    assert claim.epoch < 4, "it isn't claimed again and again"


def test_a_move_to_a_node_that_is_removed_is_given_up_and_the_partition_goes_on() -> None:
    stand = Stand(3).ready()
    done: list[object] = []
    replica.move(stand["A"].state, 0, b"B", lambda *what: done.append(what))
    stand.losing = frozenset({messages.CLAIMS})
    stand["B"].paused = True
    stand.run(100)
    stand.crash("B")
    remove(stand, "B")
    stand.run(1_000)
    assert len(done) == 1
    assert stand["A"].serves


def test_what_only_removed_nodes_had_is_served_after_a_while_from_what_is_left() -> None:
    stand = Stand(3).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    stand.crash("A", "B")
    remove(stand, "A")
    stand.run(members.FORSAKEN_MS + 5_000)
    assert not stand["C"].serves, "B may come back"
    remove(stand, "B")
    stand.run(members.FORSAKEN_MS - 1_000)
    stand.run(3_000)
    assert stand["C"].serves
    assert [what for what, _ in stand["C"].reports] == ["forsaken"]


def test_a_claim_of_somebody_unknown_is_respected_for_a_while() -> None:
    stand = Stand(2).ready()
    heir = stand["B"].state
    claim = heir.parts[0].claim
    assert claim is not None
    row = [claim.epoch + 1, b"X", b"B", 0, *claim.rank]
    replica.received(heir, b"A", (messages.CLAIMS, [[0, row]]))
    stand.crash("A")
    stand.run(members.STRANGER_MS - 1_000)
    assert not stand["B"].serves
    stand.run(5_000)
    assert stand["B"].serves


def test_among_many_a_claim_is_told_everybody_in_messages_by_the_number_of_nodes() -> None:
    stand = Stand(10, partitions=30).ready()
    stand.crash("A")
    stand.said.clear()
    stand.see()
    stand.run(1_900)
    told = [message for _, _, message in stand.said if message[0] in (messages.CLAIMS, messages.SPREAD)]
    assert len(told) <= 6 * 10
    known = {tuple(part.claim for part in node.state.parts) for node in stand.nodes.values() if node.up}
    assert len(known) == 1


def test_what_a_relay_did_not_tell_is_mended() -> None:
    stand = Stand(6, partitions=6).ready()
    stand.losing = frozenset({messages.SPREAD})
    stand.crash("F")
    stand.see()
    stand.run(500)
    stand.losing = frozenset()
    stand.run(3 * stand.settings.hail_ms)
    known = {tuple(part.claim for part in node.state.parts) for node in stand.nodes.values() if node.up}
    assert len(known) == 1
    assert all(peer.liveness == ALIVE for peer in stand["A"].state.peers.values() if peer.id != b"F")


def apart(stand: Stand, letter: str) -> None:
    """A node of another cluster and the others have nothing to say to one another any more."""
    apart_from(stand, letter, "".join(name.decode() for name in stand.names if name != letter.encode()))


def apart_from(stand: Stand, letter: str, others: str) -> None:
    for other in others:
        members.parted(stand[other].state, letter.encode())
        members.parted(stand[letter].state, other.encode())
    for node in stand.nodes.values():
        node.carry_out()
    stand.work()


def together(stand: Stand, letter: str) -> None:
    name = letter.encode()
    for other in stand.names:
        if other != name:
            members.added(stand.nodes[other].state, name)
            members.added(stand[letter].state, other)
    stand.see()


def test_what_was_emptied_while_two_were_apart_is_asked_for_again() -> None:
    stand = Stand(3).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    done: list[object] = []
    for target in "CA":  # it has everything, and is heir no more
        server = next(letter for letter in "ABC" if stand[letter].serves)
        replica.move(stand[server].state, 0, target.encode(), lambda *what: done.append(what))
        stand.run(2_000)
    assert done == [(0, None)] * 2
    apart(stand, "C")
    there = stand["C"].state
    assert not there.peers
    claims.void(there, there.parts[0])
    stand.run(1_000)
    assert stand["C"].store.values(0) == {}
    stand.crash("C")
    stand["A"].write(0, "later", 2)
    stand.work()
    stand.start("C")
    together(stand, "C")
    stand.run(3_000)
    replica.move(stand["A"].state, 0, b"C", lambda *what: done.append(what))
    stand.run(3_000)
    assert done == [(0, None)] * 3
    assert stand["C"].store.values(0) == {"k": 1, "later": 2}


def test_who_is_a_peer_after_its_claim_was_heard_of_is_offered_what_it_lacks() -> None:
    stand = Stand(4).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    for letter in "AB":  # C and D are a cluster of their own
        apart_from(stand, letter, "CD")
    there = stand["C"].state
    claims.make(there, [(0, b"D")])
    stand.run(3_000)
    claim = there.parts[0].claim
    assert stand["C"].serves
    assert claim is not None
    assert claim.heir == b"D"
    for letter, teller in ("AB", "BA"):
        replica.received(stand[letter].state, teller.encode(), (messages.CLAIMS, [[0, claim.row()]]))
        assert stand[letter].state.parts[0].claim == claim
    assert stand["C"].store.values(0) == {}
    together(stand, "A")
    together(stand, "B")
    stand.run(3_000)
    assert there.parts[0].claim == claim
    assert stand["C"].store.values(0) == {"k": 1}


def test_what_is_under_way_when_two_part_ends_without_a_trace() -> None:
    stand = Stand(2).ready()
    stand["A"].write(0, "k", 1)
    stand["A"].disk()
    stand.deliver("A", "B")  # the heir has it in hand, and not on its disk yet
    members.parted(stand["B"].state, b"A")
    stand["B"].carry_out()
    stand["B"].disk()
    assert stand["B"].store.own["stream", b"A"] == [0, 0]


def test_claims_of_another_cluster_are_its_own_to_take_over() -> None:
    stand = Stand(2).ready()
    state = stand["B"].state
    state.far = frozenset({b"X"})
    claim = state.parts[0].claim
    assert claim is not None
    replica.received(state, b"A", (messages.CLAIMS, [[0, [claim.epoch + 1, b"X", b"B", 0, *claim.rank]]]))
    stand.run(members.FORSAKEN_MS + 5_000)
    assert not stand["B"].serves
    assert state.parts[0].unserved_since is None


def test_a_partition_that_ceased_for_what_a_removed_node_had_is_served_on_at_once() -> None:
    """What was wanted of it went with it, and nobody said so: the partition stood still for good."""
    stand = Stand(3, caches=True).ready()
    state = stand["A"].state
    peer = state.peers[b"C"]
    assert 0 in stand["A"].serves
    pulling.want(peer, 0)
    pulling.ask(state, peer)
    (pull,) = peer.pulls.values()
    incarnation, since = pull.since[0]
    chunk = [
        messages.CHUNK,
        pull.id,
        incarnation,
        since + 3,
        [[0, "t", b"\x80", 0]],
        [[0, since + 3, False, False]],
    ]
    replica.received(state, b"C", chunk)
    stand["A"].carry_out()
    assert 0 not in stand["A"].serves
    stand["A"].disk()
    assert 0 not in stand["A"].serves, "there is more of it"
    stand.crash("C")
    remove(stand, "C")
    assert 0 in stand["A"].serves


def forgotten_by_one(stand: Stand) -> None:
    """B parts from A and meets it again; A hasn't parted from B."""
    members.parted(stand["B"].state, b"A")
    stand["B"].carry_out()
    stand.work()
    members.added(stand["B"].state, b"A")


def hears_again(stand: Stand) -> bool:
    stand.see()
    stand.run(2_000)
    state = stand["B"].state
    return state.reachable(state.peers[b"A"])


def test_who_has_parted_from_one_that_was_dead_for_it_is_told_again_what_is_known() -> None:
    stand = Stand(2).ready()
    stand.split("A", "B")
    stand.see()
    stand.heal()
    forgotten_by_one(stand)
    assert hears_again(stand)


def test_who_has_parted_from_one_that_did_not_notice_but_for_the_link_is_told_again() -> None:
    stand = Stand(2).ready()
    forgotten_by_one(stand)
    replica.disconnected(stand["A"].state, b"B")
    replica.disconnected(stand["A"].state, b"X")  # a stranger's link
    assert hears_again(stand)
