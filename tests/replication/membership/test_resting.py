"""Two nodes of two clusters part when there is nothing to say: both at once, and neither takes the other for dead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from replication.detectorstate import ALIVE, DetectorSettings
from replication.membership.far import REST, RESTED, Far
from replication.membership.member import Member

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

    added = gone = parted = lambda self, node: None

    def removed(self, node: bytes) -> None:
        self.peers.discard(node)

    def rest(self, node: bytes) -> None:
        self.peers.discard(node)

    def flush(self) -> None:
        pass

    def state_of(self, _: bytes) -> str:
        return ALIVE

    def send(self, node: bytes, _: None, message: Sequence[Any]) -> bool:
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
