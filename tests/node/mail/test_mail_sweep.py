"""The sweep looks through what this node serves, a slice at a time."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from node.mail.rows import MailTables
from node.mail.settings import DAY_MS, MailSettings
from node.mail.state import MailState
from node.mail.sweep import Sweep
from node.mail.tables import MAIL
from store.store import Store
from store.writes import DELETE, PUT
from tests.node.mail.core import NOW

STREAM = b"s" * 8
TODAY = NOW // DAY_MS


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[MailTables]:
    """User u lives in partition u and has one message from long ago and one of today, and a pair that is silent."""
    with Store.open(tmp_path / "store", (MAIL,), committer="inline") as store:
        tables = MailTables(store.group("mail"), lambda user: user)
        writes: list[tuple[Any, ...]] = []
        for user in (1, 2, 3):
            writes += [
                (PUT, tables.message.id, (user, user, 7, STREAM, 1), [NOW - 40 * DAY_MS, b"old"]),
                (PUT, tables.message.id, (user, user, 7, STREAM, 2), [NOW, b"young"]),
                (PUT, tables.pair.id, (user, user, 9, STREAM), [1, [1, 1], [], 0, TODAY - 70]),
                (PUT, tables.pair.id, (user, user, 10, STREAM), [1, [1, 1], [], 0, TODAY - 50]),
            ]
        store.group("mail").submit(writes, lambda result: None)
        store.deliver_results()
        yield tables


def sweep_of(tables: MailTables, soon: Callable[[Callable[[], None]], None], served: set[int]) -> Sweep:
    state = MailState(MailSettings(), NOW)
    return Sweep(MailSettings(sweep_interval_s=0.01), tables, state, soon, served.__contains__)


async def test_what_grew_too_old_is_told_and_only_of_what_is_served(
    tables: MailTables, autojump_clock: trio.testing.MockClock
) -> None:
    calls: list[Callable[[], None]] = []
    served = {1, 2, 3}
    sweep = sweep_of(tables, calls.append, served)
    await sweep.step()
    assert len(calls) == 6
    served -= {1}
    for call in calls:
        call()
    assert sorted(key[0] for key in sweep._state.loading) == [2, 2, 3, 3], "it has gone since it was found"


@pytest.mark.parametrize("alone", [True, False])
async def test_who_stands_alone_keeps_no_tombstones(tables: MailTables, alone: bool) -> None:
    group = tables.group
    key = (1, 1, 9, STREAM)
    state = MailState(MailSettings(), NOW)
    settings = MailSettings(sweep_interval_s=0.01)
    served = None if alone else (lambda partition: True)
    sweep = Sweep(settings, tables, state, lambda call: None, served)
    state.now = 2**60  # long after the store's own clock
    async with trio.open_nursery() as nursery:
        nursery.start_soon(delivering, group)
        await group.commit([(DELETE, tables.pair.id, key)])
        await sweep.step()
        nursery.cancel_scope.cancel()
    with group.snapshot() as reader:
        assert (reader.record("pair", key) is None) is alone


async def delivering(group: Any) -> None:
    while True:
        group.step_inline()
        group._results.deliver()
        await trio.sleep(0.001)


def test_partitions_of_other_nodes_are_passed_over(tables: MailTables) -> None:
    sweep = sweep_of(tables, lambda call: None, {2})
    with tables.group.snapshot() as reader:
        aged, onward = sweep.aged(reader, b"", NOW - 30 * DAY_MS)
        old, _ = sweep.old(reader, b"", TODAY - 60)
    assert aged == [((2, 7, STREAM), [(1, 3)])]
    assert old == [((2, 9, STREAM), TODAY - 70)]
    assert onward == b""
