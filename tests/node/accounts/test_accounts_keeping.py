"""Transactions of accounts on a group with copies: what must be agreed upon is on as many nodes as there are to be."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from node.accounts.keeping import Replicated
from node.accounts.tables import PIN
from node.tables import USERS
from replication.carrier import Carrier
from replication.claim import Claim
from replication.core import settling
from replication.core.settings import ReplicaSettings
from replication.core.state import SERVING, ReplicaState
from replication.tables import replicated
from store.errors import StoreBusy
from store.results import Result
from store.store import Store
from store.transaction import Transaction

ME, HEIR = b"me", b"heir"


class Listener:
    def serve(self, partition: int, epoch: int) -> None: ...

    def cease(self, partition: int) -> None: ...

    def report(self, what: str, details: Mapping[str, Any]) -> None: ...


class Rig:
    """Partition 0 is this node's, and its heir says nothing."""

    def __init__(self, store: Store) -> None:
        group = store.group(USERS.name)
        self.store = store
        self.enough = 2
        self.state = ReplicaState(
            ME, [ME, HEIR], 4, lambda p: [ME, HEIR], ReplicaSettings(caches=True),
            incarnation=group.history.current.id, sequence=0, position=group.position,
        )  # fmt: skip
        self.carrier = Carrier(self.state, group, lambda peer, message: True, Listener())
        self.keeping = Replicated(self.carrier, lambda copies: copies >= self.enough)
        self.part = self.state.parts[0]
        self.part.claim, self.part.phase = Claim(1, ME, HEIR), SERVING
        self.ended: list[Result] = []

    def submit(self, fn: Callable[..., Any], *, agreed: bool) -> None:
        self.keeping.submit(0, self.ended.append, fn, agreed=agreed)
        self.store.deliver_results()
        self.carrier.drain()

    def end(self, how: Callable[[], None]) -> Result:
        how()
        self.carrier.drain()
        (result,) = self.ended
        return result


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Store.open(tmp_path / "store", (replicated(USERS),), committer="inline") as store:
        yield Rig(store)


def writing(txn: Transaction) -> str:
    txn.put(PIN.name, (0, 5), [[0], b"", b"", 0])
    return "written"


def looking(txn: Transaction) -> str:
    return "looked"


@pytest.mark.parametrize("fn", [writing, looking])
def test_what_waited_for_an_heir_that_died_is_not_granted_where_two_are_to_have_it(
    rig: Rig, fn: Callable[..., Any]
) -> None:
    if fn is looking:
        rig.part.claim = Claim(2, ME, None)
    rig.submit(fn, agreed=True)
    result = rig.end(lambda: settling.alone(rig.state, rig.part))
    assert isinstance(result.error, StoreBusy)


def test_it_is_granted_when_the_heir_has_it_or_nobody_else_is_to(rig: Rig) -> None:
    rig.submit(writing, agreed=True)
    assert rig.ended == []
    assert rig.end(lambda: settling.early_reached(rig.state, rig.part, 10**9)).value == "written"
    rig.ended.clear()
    rig.enough = 1
    rig.submit(writing, agreed=True)
    assert rig.end(lambda: settling.alone(rig.state, rig.part)).value == "written"


def test_what_needs_no_agreement_ends_with_one_copy(rig: Rig) -> None:
    rig.submit(writing, agreed=False)
    assert rig.end(lambda: settling.alone(rig.state, rig.part)).value == "written"
