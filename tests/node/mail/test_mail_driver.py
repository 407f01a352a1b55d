"""The driver between the core and whoever keeps the rows."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from node.mail import effects, numbering, presence
from node.mail.committing import Outcome
from node.mail.driver import MailDriver
from node.mail.rows import MailTables
from node.mail.state import Handle
from node.mail.tables import MAIL
from node.wire.verbs import TWO_COPIES
from store.errors import DamagedRecord, StoreBusy
from store.results import Result
from store.snapshot import Snapshot
from store.store import Store
from store.writes import Write
from tests.node.mail.core import ALICE, BOB, STREAM, Core, partition_of
from tests.node.mail.core import Handle as Session


class Keeper:
    """Implements `Committing`: everything waits until the test says so."""

    def __init__(self, store: Store) -> None:
        self.group = store.group("mail")
        self.reads: list[tuple[Callable[[Snapshot], Any], Callable[[Result], None]]] = []
        self.commits: list[tuple[Sequence[Write], Callable[[Outcome], None]]] = []
        self.busy = False

    def read(self, fn: Callable[[Snapshot], Any], done: Callable[[Result], None]) -> None:
        if self.busy:
            raise StoreBusy("full")
        self.reads.append((fn, done))

    def commit(self, writes: Sequence[Write], done: Callable[[Outcome], None]) -> None:
        self.commits.append((writes, done))

    def answer(self) -> None:
        while self.reads:
            fn, done = self.reads.pop(0)
            with self.group.snapshot() as reader:
                done(Result(value=fn(reader)))


class Rig:
    """A core under its driver."""

    def __init__(self, store: Store) -> None:
        self.core = Core()
        self.state = self.core.state
        self.keeper = Keeper(store)
        self.said: list[tuple[Any, ...]] = []
        self.ended: list[tuple[int, Handle]] = []
        codes = (
            effects.ACCEPTED, effects.GAP, effects.BUSY, effects.REFUSED, effects.RECEIPT, effects.DELIVER,
            effects.CONFIRM, effects.BACKLOG,
        )  # fmt: skip
        self.driver = MailDriver(
            self.state,
            MailTables(store.group("mail"), partition_of),
            dict.fromkeys(codes, self.said.append),
            lambda user: True,
            lambda user, generation: None,
            self.keeper,
            lambda user, session: self.ended.append((user, session)),
        )

    def send(self, n: int) -> None:
        numbering.send(self.state, ALICE, BOB, STREAM, n, 1, b"x")
        self.driver.drain()

    def tick(self) -> None:
        self.driver.tick()
        self.state.check()


@pytest.fixture
def rig(tmp_path: Path) -> Any:
    with Store.open(tmp_path / "store", (MAIL,), committer="inline") as store:
        yield Rig(store)


def test_what_is_accepted_has_as_many_copies_as_the_outcome_says(rig: Rig) -> None:
    rig.send(1)
    rig.keeper.answer()
    rig.tick()
    ((_, done),) = rig.keeper.commits
    assert rig.said == []
    done(Outcome(copies=TWO_COPIES))
    rig.driver.drain()
    assert rig.said == [(effects.ACCEPTED, ALICE, BOB, STREAM, 1, 1, TWO_COPIES)]


def test_of_a_claim_that_went_elsewhere_nobody_hears(rig: Rig) -> None:
    session = Session()
    presence.online(rig.state, BOB, session)
    rig.driver.drain()
    rig.keeper.answer()
    rig.driver.drain()
    rig.said.clear()
    rig.send(1)
    rig.keeper.answer()
    rig.driver.drain()
    rig.said.clear()
    rig.state.now += 1_000
    rig.tick()
    ((_, done),) = rig.keeper.commits
    done(Outcome(lost=frozenset({0})))
    rig.driver.drain()
    rig.state.check()
    assert rig.said == []
    assert rig.ended == [(BOB, session)]
    assert (rig.state.pairs, rig.state.sessions) == ({}, {})


def test_late_answers_are_for_nobody(rig: Rig) -> None:
    rig.send(1)
    presence.online(rig.state, BOB, Session())
    rig.driver.drain()
    rig.driver.drop({0})
    assert rig.state.held_bytes == 0
    rig.keeper.answer()
    rig.driver.drain()
    rig.state.check()
    assert (rig.said, rig.state.pairs, rig.state.boxes) == ([], {}, {})


def test_an_old_answer_is_not_taken_for_the_new_one(rig: Rig) -> None:
    """The same is asked again after the partition was dropped and is served again."""
    rig.send(1)
    (old,) = rig.keeper.reads
    rig.driver.drop({0})
    rig.send(1)
    old[1](Result(value=((9, [1, 9], [], 0, 0), 9, None)))
    assert rig.state.pairs == {}
    rig.keeper.reads.remove(old)
    rig.keeper.answer()
    assert rig.state.pairs[BOB, ALICE, STREAM].high == 1


def test_nothing_is_read_while_rows_of_a_dropped_partition_may_still_come(rig: Rig) -> None:
    rig.send(1)
    rig.keeper.answer()
    rig.tick()
    rig.driver.drop({0})
    rig.send(1)
    assert (rig.keeper.reads, rig.driver.stalled) == ([], 1)
    rig.keeper.commits[0][1](Outcome())
    assert (len(rig.keeper.reads), rig.driver.stalled) == (1, 0)
    assert rig.said == []


def test_what_was_dropped_and_is_served_again_is_not_dropped_by_the_old_outcome(rig: Rig) -> None:
    rig.send(1)
    rig.keeper.answer()
    rig.tick()
    rig.driver.drop({0})
    rig.driver.serve({0})
    rig.driver.drain()
    rig.keeper.commits[0][1](Outcome(lost=frozenset({0})))
    assert list(rig.state.healing) == [0]


def test_what_the_store_is_too_busy_for_is_asked_again_unless_it_was_dropped(rig: Rig) -> None:
    rig.keeper.busy = True
    rig.send(1)
    numbering.send(rig.state, BOB, ALICE, STREAM, 1, 1, b"x")
    rig.driver.drain()
    assert rig.driver.stalled == 2
    rig.driver.drop({0})
    rig.keeper.busy = False
    rig.tick()
    rig.tick()
    assert (len(rig.keeper.reads), rig.driver.stalled) == (1, 0)


def test_a_read_that_fails_is_said_to_whoever_asked(rig: Rig) -> None:
    rig.send(1)
    ((_, done),) = rig.keeper.reads
    done(Result(error=DamagedRecord("torn")))
    rig.driver.drain()
    assert [effect[0] for effect in rig.said] == [effects.BUSY]
    assert rig.driver.read_errors == 1


def test_serving_looks_for_what_is_to_be_told_again(rig: Rig) -> None:
    rig.driver.serve({1})
    rig.driver.drain()
    rig.keeper.answer()
    rig.driver.drain()
    assert rig.state.healing == {}


def test_an_effect_that_could_not_be_carried_out_is_not_forgotten(rig: Rig) -> None:
    """Code that is rolled back leaves the rest to the code that was there before."""
    carried: list[tuple[Any, ...]] = []

    def carry(effect: tuple[Any, ...]) -> None:
        if effect[1] == 2:
            raise ValueError
        carried.append(effect)

    rig.driver._carry[effects.BUSY] = carry
    asked = [(effects.BUSY, n) for n in range(1, 5)]
    rig.state.out = list(asked)
    with pytest.raises(ValueError):
        rig.driver.drain()
    assert (carried, rig.state.out) == (asked[:1], asked[1:])
    rig.driver._carry[effects.BUSY] = carried.append
    rig.driver.drain()
    assert carried == asked
