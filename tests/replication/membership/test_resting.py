"""Whom a node of one cluster talks to in another: gateways that are there, and others as long as there is something to
say. Two part at once, and neither takes the other for dead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from replication.claim import Claim
from replication.detectorstate import ALIVE, DEAD, DetectorSettings
from replication.membership.far import AWAY_TIMES, CALL, CLAIMED, REST, RESTED, Far
from replication.membership.member import Member
from tests.replication.core.stand import Stand

IDLE_MS = 1_000
A, B = bytes(8), bytes(range(8))
ROWS = {A: Member(node=A, cluster="north"), B: Member(node=B, cluster="south")}


class Side:
    """One node: the cluster, the roster, the links and the detector around its part. It is no gateway."""

    def __init__(self, me: bytes) -> None:
        self.me = me
        self.time = 0
        self.groups: dict[str, Any] = {}
        self.links = self.detector = self.exchange = self.state = self.roster = self
        self.members = ROWS
        self.own = ROWS[me]
        self.others = tuple(row for row in ROWS.values() if row.node != me)
        self.nodes = (me,)
        self.peers: set[bytes] = set()
        self.said: list[Sequence[Any]] = []
        self.thought: dict[bytes, str] = {}
        self.full = False
        around: Any = self
        self.far = Far(around, around, IDLE_MS)
        self.far.is_gateway = lambda: False  # type: ignore[method-assign]

    def now(self) -> int:
        return self.time

    @contextmanager
    def within(self) -> Iterator[None]:
        yield

    def link_to(self, row: Member) -> Member:
        return row

    def admit(self, row: Member) -> None:
        self.peers.add(row.node)

    gone = parted = lambda self, node: None

    def added(self, node: bytes, cluster: str) -> None:
        assert cluster == self.roster.members[node].cluster, "its detector asks only those of the same one"

    def removed(self, node: bytes) -> None:
        self.peers.discard(node)

    def rest(self, node: bytes) -> None:
        self.peers.discard(node)

    def flush(self) -> None:
        pass

    def state_of(self, node: bytes) -> str:
        return self.thought.get(node, ALIVE)

    def is_connected(self, node: bytes, _: None) -> bool:
        return node in self.peers

    def send(self, node: bytes, _: None, message: Sequence[Any]) -> bool:
        if self.full:
            return False
        if node in self.peers:
            self.said.append(message)
        return node in self.peers


def pass_time(a: Side, b: Side, length_ms: int) -> list[tuple[int, set[bytes]]]:
    """Both step ten times a second, and hear each other. (when, who has a peer) each time."""
    seen = []
    for _ in range(length_ms // 100):
        for one in (a, b):
            one.time += 100
            one.far.step()
        for _ in range(2):  # a word, and its answer
            for one, other in ((a, b), (b, a)):
                said, one.said = one.said, []
                for message in said:
                    other.far.received(one.me, message)
        seen.append((a.time, {one.me for one in (a, b) if one.peers}))
    return seen


def test_who_agrees_to_rest_parts_before_the_silence_of_the_other_makes_it_suspect() -> None:
    a, b = Side(A), Side(B)
    a.far.use(B)
    b.far.use(A)
    b.far.engaged[A] = 300  # it had something to say later: only the other one asks
    seen = pass_time(a, b, 5_000)
    assert seen[0][1] == {A, B}
    alone = [when for when, peers in seen if len(peers) == 1]
    assert len(alone) * 100 < DetectorSettings().suspect_ms
    assert seen[-1][1] == set()


def test_what_is_to_be_said_meanwhile_keeps_the_link() -> None:
    a, b = Side(A), Side(B)
    a.far.use(B)
    b.far.use(A)
    b.time = IDLE_MS
    b.far.received(A, (REST,))
    assert (RESTED,) in b.said
    b.far.use(A)
    b.time += 500
    b.far.step()
    assert A in b.far.engaged


def parted() -> tuple[Side, Side]:
    """Two that have parted a moment ago."""
    a, b = Side(A), Side(B)
    a.far.use(B)
    b.far.use(A)
    while a.peers or b.peers:
        pass_time(a, b, 100)
    return a, b


def test_who_has_something_to_say_a_moment_after_they_parted_is_heard_at_once() -> None:
    a, b = parted()
    a.far.use(B)
    pass_time(a, b, 100)
    assert A in b.far.engaged
    assert (CALL,) not in b.said, "who is called doesn't call"
    pass_time(a, b, 6_000)
    assert not a.far.engaged, "and then they part again"
    assert not b.far.engaged


def test_who_could_not_answer_that_it_rests_is_asked_again() -> None:
    """Whoever parted without that word would be taken for dead."""
    a, b = Side(A), Side(B)
    a.far.use(B)
    b.far.use(A)
    b.time = IDLE_MS
    b.full = True
    b.far.received(A, (REST,))
    b.time += 500
    b.far.step()
    assert A in b.far.engaged
    b.full = False
    b.far.received(A, (REST,))
    b.time += 500
    b.far.step()
    assert A not in b.far.engaged


def test_a_late_word_of_who_has_parted_is_no_call() -> None:
    _, b = parted()
    b.far.called(A)
    assert not b.far.engaged
    b.time += IDLE_MS
    b.far.called(A)
    assert A in b.far.engaged


def test_a_call_is_said_when_the_link_is_up_and_not_later() -> None:
    """Whoever is about to part may lose its link, and make a new one, before it hears that the other one has parted."""
    a, _ = parted()
    a.admit = lambda row: None  # type: ignore[method-assign]
    a.said.clear()
    a.far.use(B)
    assert a.said == []
    a.peers.add(B)
    a.far.connected(B)
    a.far.connected(B)
    assert a.said == [(CALL,)] * 2, "what was said over the former link may be lost"
    a.time += IDLE_MS // 2
    a.far.connected(B)
    assert len(a.said) == 2
    a.far.part(B)
    a.far.called(B)
    a.time += IDLE_MS
    a.far.called(B)
    a.far.connected(B)
    assert len(a.said) == 2


def test_a_call_to_who_has_just_agreed_to_part_keeps_the_link() -> None:
    a, b = Side(A), Side(B)
    a.far.use(B)
    b.far.use(A)
    b.time = IDLE_MS
    b.far.received(A, (REST,))
    b.far.received(A, (CALL,))
    b.time += 500
    b.far.step()
    assert A in b.far.engaged


def gateway(south: int) -> tuple[Side, list[bytes]]:
    """A gateway, and the ids of another cluster's nodes."""
    side = Side(A)
    ids = [bytes([n] * 8) for n in range(1, south + 1)]
    side.members = {A: ROWS[A], **{node: Member(node=node, cluster="south") for node in ids}}
    side.others = tuple(side.members[node] for node in ids)
    side.far.is_gateway = lambda: True  # type: ignore[method-assign]
    return side, ids


def steps(side: Side, length_ms: int) -> set[frozenset[bytes]]:
    """What the gateways were that it talked to."""
    found = set()
    for _ in range(length_ms // 100):
        side.time += 100
        side.far.step()
        found.add(side.far.gateways)
    return found


def test_a_gateway_that_was_dead_is_not_chosen_again_before_others() -> None:
    side, (one, two, three) = gateway(3)
    steps(side, 1_000)
    assert side.far.gateways == {one, two}
    side.thought[one] = DEAD
    steps(side, 1_000)
    assert side.far.gateways == {two, three}
    steps(side, 3 * IDLE_MS)
    assert one not in side.far.engaged
    assert steps(side, AWAY_TIMES * IDLE_MS // 2) == {frozenset((two, three))}
    side.thought[one] = ALIVE
    side.far.called(one)  # it is back
    steps(side, 2_000)
    assert side.far.gateways == {one, two}


def test_a_gateway_that_was_dead_is_tried_again_after_a_while_as_it_may_take_us_for_dead_too() -> None:
    side, (one, two, three) = gateway(3)
    steps(side, 1_000)
    side.thought[one] = DEAD
    steps(side, 3 * IDLE_MS)
    assert one not in side.far.engaged
    side.thought[one] = ALIVE  # it is back, and calls others
    assert side.far.gateways == {two, three}
    steps(side, AWAY_TIMES * IDLE_MS)
    assert side.far.gateways == {one, two}


def test_if_all_were_dead_they_are_tried_again() -> None:
    side, (one,) = gateway(1)
    steps(side, 1_000)
    side.thought[one] = DEAD
    assert frozenset() in steps(side, 3 * IDLE_MS)
    assert frozenset((one,)) in steps(side, 3 * IDLE_MS)


def test_a_claim_is_due_until_each_gateway_has_taken_it() -> None:
    side, (_, two) = gateway(2)
    steps(side, 1_000)
    stand = Stand(2, partitions=2).ready()
    group: Any = SimpleNamespace(
        placed=SimpleNamespace(owned=True), carrier=SimpleNamespace(state=stand["A"].state)
    )
    side.groups["users"] = group
    side.far.claimed("users", 1)
    side.full = True
    side.said.clear()  # that they were called
    side.far._publish()
    assert side.said == []
    side.full = False
    side.peers.discard(two)
    side.far._publish()
    side.peers.add(two)
    side.far._publish()
    side.far._publish()
    assert [message[:2] for message in side.said] == [(CLAIMED, "users")] * 2
    assert [row[0] for row in side.said[0][2]] == [1]


def test_what_a_newer_release_appends_to_words_of_gateways_is_passed_over() -> None:
    a, b = Side(A), Side(B)
    stand = Stand(2, partitions=2).ready()
    state = stand["A"].state
    placed, carrier = SimpleNamespace(owned=True), SimpleNamespace(state=state, drain=lambda: None)
    a.groups["users"] = SimpleNamespace(placed=placed, carrier=carrier)
    before = state.parts[1].claim
    assert before is not None
    told = Claim(before.epoch + 7, bytes(range(8, 16)), None, before.floor, before.rank)
    a.far.received(B, [CLAIMED, "users", [[1, [*told.row(), "new", {"more": 1}]]], {"new": 1}, None])
    assert state.counts.malformed == 0
    assert state.parts[1].claim == told
    a.groups.clear()
    a.far.received(B, [CALL, "new"])
    assert B in a.far.engaged
    a.time = b.time = IDLE_MS
    a.far.received(B, [REST, {"new": 1}])
    assert a.said == [(RESTED,)]
    b.far.engaged[A] = 0
    b.far.received(A, [RESTED, "new"])
    assert not b.far.engaged


def test_claims_of_a_gateway_that_make_no_sense_are_counted_and_change_nothing() -> None:
    side = Side(A)
    stand = Stand(2, partitions=2).ready()
    state = stand["A"].state
    placed, carrier = SimpleNamespace(owned=True), SimpleNamespace(state=state, drain=lambda: None)
    side.groups["users"] = SimpleNamespace(placed=placed, carrier=carrier)
    before = [part.claim for part in state.parts]
    for wrong in ([[99, [1, B, None]]], [[1]], [[1, 5]], [7]):
        side.far.received(B, [CLAIMED, "users", wrong])
    assert state.counts.malformed == 4
    assert [part.claim for part in state.parts] == before
