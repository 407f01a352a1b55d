"""A batch on a replicated group: one commit, and one outcome for all of its partitions."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from node.mail.committing import Alone, Outcome
from node.mail.replicated import Replicated
from node.mail.tables import MAIL
from replication.carrier import Carrier
from replication.claim import Claim
from replication.core import settling
from replication.core.errors import WritersWait
from replication.core.settings import ReplicaSettings
from replication.core.state import SERVING, ReplicaState
from replication.tables import replicated
from store import keys
from store.errors import StoreBusy
from store.store import Store
from store.writes import PUT

ME, HEIR, OTHER = b"me", b"heir", b"other"


class Listener:
    def serve(self, partition: int, epoch: int) -> None: ...

    def cease(self, partition: int) -> None: ...

    def report(self, what: str, details: Mapping[str, Any]) -> None: ...


class Rig:
    """A carrier whose partitions are as the test says; nobody is reached."""

    def __init__(self, store: Store) -> None:
        group = store.group("mail")
        self.store = store
        self.state = ReplicaState(
            ME, [ME, HEIR, OTHER], 4, lambda p: [ME, HEIR, OTHER], ReplicaSettings(caches=True),
            incarnation=group.history.current.id, sequence=0, position=group.position,
        )  # fmt: skip
        self.carrier = Carrier(self.state, group, lambda peer, message: True, Listener())
        self.rows = Replicated(self.carrier)
        self.outcomes: list[Outcome] = []
        for p in range(4):
            self.serve(p)

    def serve(self, p: int, heir: bytes | None = None) -> None:
        part = self.state.parts[p]
        part.claim, part.phase = Claim(1, ME, heir), SERVING

    def commit(self, *partitions: int) -> None:
        table = self.carrier.group.table("message").id
        writes = [(PUT, table, keys.encode((p, 1, 2, b"s", 1)), [0, b"x"]) for p in partitions]
        self.rows.commit(writes, self.outcomes.append)
        assert self.outcomes == [], "told before it has returned"
        self.carrier.drain()
        self.store.deliver_results()
        self.carrier.drain()

    def stored(self) -> list[int]:
        return [key[0] for key, _ in self.carrier.group.table("message").prefix(())]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Store.open(tmp_path / "store", (replicated(MAIL),), committer="inline") as store:
        yield Rig(store)


def test_without_an_heir_there_is_one_copy(rig: Rig) -> None:
    rig.commit(0, 1)
    assert rig.outcomes == [Outcome(copies=1)]
    assert rig.stored() == [0, 1]


def test_it_has_ended_when_every_heir_has_it(rig: Rig) -> None:
    rig.serve(0, HEIR)
    rig.serve(1, HEIR)
    rig.commit(0, 1)
    assert rig.outcomes == []
    settling.early_reached(rig.state, rig.state.parts[0], 10**9)
    rig.carrier.drain()
    assert rig.outcomes == []
    settling.early_reached(rig.state, rig.state.parts[1], 10**9)
    rig.carrier.drain()
    assert rig.outcomes == [Outcome(copies=2)]


def test_it_has_as_many_copies_as_the_part_with_the_fewest(rig: Rig) -> None:
    rig.serve(1, HEIR)
    rig.commit(0, 1)
    settling.early_reached(rig.state, rig.state.parts[1], 10**9)
    rig.carrier.drain()
    assert rig.outcomes == [Outcome(copies=1)]


def test_a_claim_that_goes_while_the_commit_is_out_is_said_for_its_partition(rig: Rig) -> None:
    rig.serve(0, HEIR)
    rig.commit(0, 1)
    settling.lose(rig.state, rig.state.parts[0])
    rig.carrier.drain()
    assert rig.outcomes == [Outcome(copies=1, lost=frozenset({0}))]


def test_what_is_not_served_is_not_written_and_nothing_beside_it(rig: Rig) -> None:
    rig.state.parts[2].claim = Claim(5, OTHER)
    rig.state.parts[2].phase = 0
    rig.commit(0, 2)
    (outcome,) = rig.outcomes
    assert outcome.error is not None
    assert outcome.lost == {2}
    assert rig.stored() == []


def test_an_heir_that_does_not_keep_up_is_a_store_that_is_busy(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "writable", lambda state, p: WritersWait("slow"))
    with pytest.raises(StoreBusy):
        rig.commit(0)
    assert rig.outcomes == []


def test_a_group_that_stands_alone_has_one_copy(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", (MAIL,), committer="inline") as store:
        outcomes: list[Outcome] = []
        group = store.group("mail")
        Alone(group).commit([(PUT, group.table("untold").id, (0, 1, 2, b"s"), [])], outcomes.append)
        store.deliver_results()
        assert outcomes == [Outcome(copies=1)]
