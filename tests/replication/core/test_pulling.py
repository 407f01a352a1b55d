"""Catching up: asked again until it is answered, a chunk at a time, and nothing is kept where it is asked for."""

from typing import Any

import attrs
import pytest

from replication.core import effects, messages, pulling, replica
from replication.core.state import DEAD, GATHERING, LIVE, SERVING, VOID, Peer, Pull
from tests.replication.core.stand import Node, Stand


def filled(rows: int, **settings: Any) -> Stand:
    """A has rows that B, its heir of two, was not there to get."""
    stand = Stand(2, **settings)
    stand.start("A")
    stand.run(4_000)
    for n in range(rows):
        stand["A"].write(0, f"k{n}", n)
    stand.work()
    return stand


def asking(stand: Stand, who: str, whom: bytes) -> tuple[Peer, Pull, int, int]:
    """A question about partition 0 is under way: to whom, the question, and the cursor in it."""
    state = stand[who].state
    peer = state.peers[whom]
    pulling.want(peer, 0)
    pulling.ask(state, peer)
    (pull,) = peer.pulls.values()
    state.out.clear()
    return peer, pull, *pull.since[0]


def test_a_new_copy_fills_a_chunk_at_a_time_and_serves_nothing_meanwhile() -> None:
    stand = filled(25, chunk_rows=4)
    stand.start("B")
    stand.run(6_000)
    chunks = [message for message in stand.sent(messages.CHUNK, "A", "B") if message[4]]
    assert len(chunks) == 7
    assert all(sum(part[3] for part in chunk[4]) <= 4 for chunk in chunks)
    assert stand["B"].store.values(0) == stand["A"].store.values(0)
    assert stand["B"].state.parts[0].copy == LIVE
    assert stand.servers(0) == "A"


def test_a_copy_fills_while_it_is_written_to() -> None:
    stand = filled(30, chunk_rows=3)
    stand.start("B")
    ends = []
    for n in range(60):
        stand.deliver(count=2)
        if stand.servers(0) == "A":
            ends.append(stand["A"].write(0, f"new{n % 20}", n))
        for letter in "AB":
            stand[letter].disk(2)
        stand.tick()
    stand.run(6_000)
    assert all(len(ended) == 1 for ended in ends)
    assert stand["B"].store.values(0) == stand["A"].store.values(0)


def test_chunks_that_wait_are_made_durable_together_and_no_more_wait_than_is_stated() -> None:
    stand = filled(100, chunk_rows=2)
    stand.start("B")
    node, peer = stand["B"], stand["B"].state.peers[b"A"]
    while not any(pull.answered for pull in peer.pulls.values()):
        stand["A"].disk()
        node.disk()
        stand.deliver()
    for _ in range(50):  # B's disk stands still
        stand["A"].disk()
        stand.deliver()
    most = pulling.AHEAD_MAX + node.state.settings.pulls_max
    assert pulling.AHEAD_MAX <= len(peer.pulls) <= most
    assert node.state.counts.chunks_applied == 0
    waited = len(peer.source.queue)
    node.disk(2)
    assert node.state.counts.chunks_applied == 1 + waited
    stand.run(6_000)
    assert node.store.values(0) == stand["A"].store.values(0)


def test_a_copy_that_returns_is_asked_for_filled_and_told_of_without_a_tick() -> None:
    stand = Stand(2).ready()
    stand.crash("B")
    stand.see()
    stand.run(1_000)
    stand["A"].write(0, "meanwhile", 1)
    stand.work()
    stand.start("B")
    stand.work()
    assert stand["B"].store.values(0) == {"meanwhile": 1}
    assert stand["A"].state.parts[0].heir_live


def test_what_was_filled_is_not_filled_again_after_a_crash() -> None:
    stand = filled(20, chunk_rows=2)
    stand.start("B")
    while len(stand["B"].store.values(0)) < 10:
        stand["A"].disk(1)
        stand["B"].disk(1)
        stand.deliver(count=1)
        stand.tick()
    stand.crash("B")
    before = sum(part[3] for message in stand.sent(messages.CHUNK) for part in message[4])
    stand.start("B")
    stand.run(6_000)
    after = sum(part[3] for message in stand.sent(messages.CHUNK) for part in message[4])
    assert len(stand["B"].store.values(0)) == 20
    assert after - before <= 12, "at most a chunk more than was missing"


def test_a_question_that_is_lost_is_asked_again() -> None:
    stand = filled(5)
    stand.start("B")
    stand.losing = frozenset({messages.PULL})
    stand.run(3_000)
    assert stand["B"].store.values(0) == {}
    stand.losing = frozenset()
    stand.run(4_000)
    assert len(stand["B"].store.values(0)) == 5


def test_no_more_questions_are_under_way_than_is_stated() -> None:
    stand = Stand(2, partitions=10, pulls_max=2, pull_partitions=3).ready()
    state = stand["B"].state
    peer = state.peers[b"A"]
    for p in range(10):
        pulling.want(peer, p)
    pulling.ask(state, peer)
    asked = [effect[2] for effect in state.out if effect[2][0] == messages.PULL]
    assert [len(wants) for _, _, wants in asked] == [3, 3]
    pulling.ask(state, peer)
    assert len(state.out) == 2


def test_an_answer_that_nobody_waits_for_is_passed_over() -> None:
    stand = Stand(2).ready()
    state = stand["B"].state
    replica.received(
        state, b"A", [messages.CHUNK, 4_711, 1, 9, [[0, "t", b"\x80", 0]], [[0, 9, True, False]]]
    )
    stand["B"].carry_out()
    assert not stand["B"].pending
    assert state.peers[b"A"].known.cursor(0)[1] != 9


def test_an_answer_that_comes_twice_is_applied_once() -> None:
    stand = filled(5)
    stand.start("B")
    for _ in range(60):
        stand["A"].disk()
        for link in stand.links.values():
            link.extend([one for one in link if one[1] == messages.CHUNK])
        stand.deliver()
        stand["B"].disk()
        stand.tick()
    assert stand["B"].state.counts.rows_applied == 5


def test_a_void_copy_is_not_learned_from() -> None:
    stand = Stand(2).ready()
    stand["B"].state.parts[0].copy = VOID
    stand["B"].state.peers[b"A"].source.opened.clear()
    replica.received(stand["B"].state, b"A", [messages.PULL, 1, [[0, 0, 0, 0, 0]]])
    stand["B"].carry_out()
    stand["B"].disk(1)
    chunk = stand.sent(messages.CHUNK, "B", "A")[-1]
    assert chunk[4] == []
    assert chunk[5] == [[0, 0, True, True]]


def test_a_position_of_another_life_is_worth_nothing() -> None:
    stand = filled(5)
    replica.received(stand["A"].state, b"B", [messages.PULL, 1, [[0, 12_345, 4, 4, 0]]])
    stand["A"].carry_out()
    stand["A"].disk()
    chunk = stand.sent(messages.CHUNK, "A", "B")[-1]
    assert sum(part[3] for part in chunk[4]) == 5


def test_the_further_of_two_wishes_counts() -> None:
    stand = Stand(2).ready()
    peer = stand["B"].state.peers[b"A"]
    pulling.want(peer, 0, 5)
    pulling.want(peer, 0, 3)
    assert peer.wanted[0] == 5
    pulling.want(peer, 0)
    pulling.want(peer, 0, 9)
    assert peer.wanted[0] == -1, "all of it"


def test_whoever_keeps_rows_in_memory_is_told_before_they_change_beneath_it() -> None:
    stand = Stand(3, caches=True).ready()
    stand.split("A", "BC")
    stand.see()
    stand["A"].write(0, "left", 1)
    stand.run(4_000)
    assert sorted(stand.servers(0)) == ["A", "B"]
    stand["B"].write(0, "right", 2)
    stand.work()
    served_while_changed = []

    def watch(node: Node) -> None:
        applied = node._applied

        def watched(peer: bytes, parts: Any, *rest: Any) -> None:
            if parts and node.state.parts[0].claim.primary == node.name:
                served_while_changed.append(0 in node.serves)
            applied(peer, parts, *rest)

        node._applied = watched  # type: ignore[method-assign]

    watch(stand["A"])
    watch(stand["B"])
    stand.heal()
    stand.see()
    stand.run(8_000)
    assert len(stand.servers(0)) == 1
    assert served_while_changed
    assert not any(served_while_changed)
    assert stand.copies(0) == [{"left": 1, "right": 2}] * 2


def test_nobody_is_served_while_what_a_peer_sent_before_it_left_is_being_taken_in() -> None:
    stand = Stand(2, caches=True).ready()
    state = stand["A"].state
    peer, pull, incarnation, since = asking(stand, "A", b"B")
    chunk = [
        messages.CHUNK,
        pull.id,
        incarnation,
        since + 3,
        [[0, "t", b"\x80", 0]],
        [[0, since + 3, False, False]],
    ]
    replica.received(state, b"B", chunk)
    (applied,) = (effect for effect in state.out if effect[0] == effects.APPLY)
    state.out.clear()
    peer.liveness = DEAD
    pulling.tick(state, peer)
    assert not state.out
    applied[-1](None, since)
    pulling.tick(state, peer)
    assert [effect[0] for effect in state.out if effect[0] == effects.SERVE] == [effects.SERVE]


def test_a_takeover_whose_time_is_over_waits_for_what_is_on_its_way_to_the_disk() -> None:
    stand = Stand(2, caches=True).ready()
    state = stand["A"].state
    part = state.parts[0]
    _, pull, incarnation, since = asking(stand, "A", b"B")
    part.phase, part.gathering, part.gather_until = GATHERING, {b"B"}, state.now
    rows, progress = [[0, "t", b"\x80", 0]], [[0, since + 3, False, False]]
    replica.received(state, b"B", [messages.CHUNK, pull.id, incarnation, since + 3, rows, progress])
    (applied,) = (effect for effect in state.out if effect[0] == effects.APPLY)
    state.out.clear()
    replica.tick(state)
    assert part.phase == GATHERING, "rows would change beneath whoever is told to serve"
    applied[-1](None, since)
    replica.tick(state)
    assert part.phase == SERVING
    assert effects.SERVE in [effect[0] for effect in state.out]


def test_what_can_not_be_taken_in_is_not_asked_for_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stand = filled(5)
    stand.crash("B")
    stand["B"].store = type(stand["B"].store)()
    applied = Node._applied

    def failing(node: Node, peer: bytes, parts: Any, *rest: Any) -> None:
        node.failure = OSError("no") if parts else None
        applied(node, peer, parts, *rest)

    monkeypatch.setattr(Node, "_applied", failing)
    stand.start("B")
    stand.run(60_000)
    asked = len(stand.sent(messages.PULL, "B", "A"))
    assert 3 <= asked < 12, "each time after twice as long"
    monkeypatch.setattr(Node, "_applied", applied)
    stand.run(40_000)
    assert stand["B"].store.values(0) == stand["A"].store.values(0)
    assert stand["B"].state.peers[b"A"].failures == 0


def test_who_does_not_know_of_the_floor_does_not_answer_and_asks_for_the_claim() -> None:
    stand = Stand(2).ready()
    replica.received(stand["B"].state, b"A", [messages.PULL, 77, [[0, 0, 0, 0, 99]]])
    effects_ = list(stand["B"].state.out)
    stand["B"].carry_out()
    stand["B"].disk()
    assert [effect[2][0] for effect in effects_] == [messages.HAIL]
    assert not [chunk for chunk in stand.sent(messages.CHUNK, "B", "A") if chunk[1] == 77]


@pytest.mark.parametrize("raised", [False, True])
def test_what_was_asked_for_under_a_lower_floor_is_not_taken_in_and_is_asked_for_again(raised: bool) -> None:
    stand = Stand(2).ready()
    state = stand["B"].state
    peer, pull, incarnation, since = asking(stand, "B", b"A")
    part = state.parts[0]
    assert part.claim is not None
    if raised:
        part.claim = attrs.evolve(part.claim, floor=part.claim.epoch)
    chunk = [
        messages.CHUNK,
        pull.id,
        incarnation,
        since + 3,
        [[0, "t", b"\x80", 0]],
        [[0, since + 3, True, False]],
    ]
    replica.received(state, b"A", chunk)
    (applied,) = (effect for effect in state.out if effect[0] == effects.APPLY)
    assert bool(applied[2]) is not raised
    applied[-1](None, 0)
    assert (0 in peer.wanted) is raised
    pulling.ask(state, peer)
    assert [one.floors for one in peer.pulls.values()] == ([{0: part.claim.epoch}] if raised else [])


def taking_in(stand: Stand, who: bytes, *, whole: bool) -> Any:
    """A, which serves partition 0 for somebody who keeps rows in memory, is about to take in a chunk of a peer's: what
    is to be called when the disk has done it."""
    state = stand["A"].state
    peer, pull, incarnation, since = asking(stand, "A", who)
    progress = [[0, since + 3, whole, False]]
    chunk = [messages.CHUNK, pull.id, incarnation, since + 3, [[0, "t", b"\x80", 0]], progress]
    replica.received(state, who, chunk)
    (applied,) = (effect for effect in state.out if effect[0] == effects.APPLY)
    assert (effects.CEASE, 0) in state.out
    assert not peer.pulls[pull.id].ends or whole
    state.out.clear()
    return applied[-1]


def serves(stand: Stand) -> bool:
    """Whether A is told to serve by what has just happened."""
    return effects.SERVE in [effect[0] for effect in stand["A"].state.out]


def test_a_partition_does_not_stand_still_until_a_peer_is_asked_again_whose_chunk_the_disk_refused() -> None:
    """A disk that was full for a while, and had room again: it was half a minute."""
    stand = Stand(3, caches=True).ready()
    state = stand["A"].state
    applied = taking_in(stand, b"B", whole=False)
    state.peers[b"B"].failures = 5
    applied(OSError("no room"), 0)
    assert state.peers[b"B"].ask_at > state.now
    assert serves(stand)
    assert not state.parts[0].ceased
    state.out.clear()
    # What another peer has is taken in meanwhile.
    taking_in(stand, b"C", whole=True)(None, state.sequence)
    assert 0 in state.peers[b"B"].wanted, "it isn't forgotten"
    assert serves(stand)


def test_a_partition_stands_still_for_some_time_only_for_a_peer_that_does_not_answer() -> None:
    stand = Stand(2, caches=True).ready()
    state = stand["A"].state
    taking_in(stand, b"B", whole=False)(None, state.sequence)
    stand.losing = frozenset({messages.PULL})
    replica.tick(state)
    assert not serves(stand), "more of it is to come"
    state.out.clear()
    state.now += state.settings.pull_wait_ms
    replica.tick(state)
    assert serves(stand)
    assert 0 in state.peers[b"B"].wanted


def test_a_partition_is_not_served_on_while_another_chunk_is_on_its_way_to_the_disk() -> None:
    stand = Stand(3, caches=True).ready()
    state = stand["A"].state
    first = taking_in(stand, b"B", whole=False)
    state.parts[0].incoming += 1  # of C's
    first(OSError("no room"), 0)
    state.now += state.settings.pull_wait_ms
    pulling.again(state, 0)
    assert not serves(stand)
