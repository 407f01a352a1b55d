"""What a node has of its roster on its disk: it says so only when all of it is there, also after a disk was full."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from ops.simulation.disk import VirtualDisk
from replication.membership.keeping import Kept
from replication.membership.member import Member
from replication.membership.roster import Entry, Roster
from replication.tables import CLUSTER
from store.errors import DiskFull
from store.store import Store

ROW = Member(node=b"A" * 8, key="a", counter=1, editor=b"A" * 8)
NEXT = attrs.evolve(ROW, counter=2, server="larger, so that it wants room")
OTHER = attrs.evolve(ROW, counter=2, weight=70)
CONFIGURED = Member(node=b"B" * 8, key="b")


class Node:
    """A store without threads: `write` is when the disk has its turn."""

    def __init__(self) -> None:
        self.disk = VirtualDisk("0", lambda commit: None)
        self.store = self.open()
        self.kept = Kept(self.store)

    def open(self) -> Store:
        return Store.open(
            "/node",
            (CLUSTER,),
            committer="inline",
            environments=self.disk.environment,
            directories=self.disk.directory,
        )

    def write(self) -> None:
        self.store.group(CLUSTER.name).step_inline()
        self.store.deliver_results(commit=False)

    def after_a_crash(self) -> list[Entry]:
        self.disk.crash()
        self.store.abandon()
        self.store = self.open()
        return Kept(self.store).read()

    async def keep(self, rows: list[Entry]) -> None:
        """With a committer that works while it is waited for."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.kept.keep, rows)
            await trio.testing.wait_all_tasks_blocked()
            self.write()


@pytest.fixture
def node() -> Iterator[Node]:
    one = Node()
    yield one
    one.store.abandon()


def test_what_the_disk_was_given_is_not_there_before_it_is_durable(node: Node) -> None:
    assert node.kept.is_whole
    node.kept.keep_soon([ROW])
    assert not node.kept.is_whole
    node.write()
    assert node.kept.is_whole
    assert node.after_a_crash() == [ROW]


def test_what_a_full_disk_has_not_taken_is_due_until_there_is_room(node: Node) -> None:
    node.disk.full = True
    roster = Roster([NEXT])
    node.kept.keep_soon([NEXT])
    node.write()
    for _ in range(3):
        assert node.kept.has_due
        assert not node.kept.is_whole
        node.kept.keep_due(roster)
        node.write()
    node.disk.full = False
    node.kept.keep_due(roster)
    node.write()
    assert node.kept.is_whole
    assert not node.kept.has_due
    assert node.after_a_crash() == [NEXT]


def test_an_older_row_that_is_durable_says_nothing_of_the_one_that_was_given_later(node: Node) -> None:
    node.kept.keep_soon([ROW])
    node.store.group(CLUSTER.name).step_inline()
    node.kept.keep_soon([NEXT])
    node.store.deliver_results(commit=False)
    assert not node.kept.is_whole
    node.write()
    assert node.kept.is_whole


def test_a_row_that_failed_and_was_replaced_meanwhile_is_due_no_more(node: Node) -> None:
    node.disk.full = True
    node.kept.keep_soon([ROW])
    node.store.group(CLUSTER.name).step_inline()
    node.disk.full = False
    node.kept.keep_soon([NEXT])
    node.store.deliver_results(commit=False)
    node.write()
    assert node.kept.is_whole
    assert not node.kept.has_due


async def test_what_could_not_be_kept_and_is_not_used_is_undone_when_there_is_room(node: Node) -> None:
    node.kept.keep_soon([ROW])
    node.write()
    node.disk.full = True
    with pytest.raises(ExceptionGroup) as caught:
        await node.keep([NEXT])
    assert caught.group_contains(DiskFull)
    assert not node.kept.is_whole
    node.disk.full = False
    node.kept.keep_due(Roster([ROW]))
    node.write()
    assert node.kept.is_whole
    assert node.after_a_crash() == [ROW]


async def test_what_is_new_and_could_not_be_kept_is_missed_by_nobody(node: Node) -> None:
    """An invitation, and the first owner of a partition: the roster has no row of them."""
    node.disk.full = True
    for rows in ([NEXT], Roster().owned((3,), b"A" * 8, "south")):
        with pytest.raises(ExceptionGroup):
            await node.keep(list(rows))
    node.kept.keep_due(Roster())
    node.write()
    assert node.kept.has_due
    node.disk.full = False
    node.kept.keep_due(Roster())
    node.write()
    assert node.kept.is_whole
    assert not node.kept.has_due
    assert node.after_a_crash() == []


async def test_what_was_given_up_while_the_disk_had_it_is_not_there_later(node: Node) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await node.kept.keep([ROW])
    node.kept.keep_due(Roster())
    node.write()
    assert node.kept.is_whole
    assert node.after_a_crash() == []


async def test_what_is_given_again_stays_though_it_was_given_up_before(node: Node) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await node.kept.keep([ROW])
    node.kept.keep_due(Roster())
    node.kept.keep_soon([NEXT])
    assert not node.kept.is_whole
    node.write()
    assert node.kept.is_whole
    assert node.after_a_crash() == [NEXT]


async def test_a_row_that_nobody_waits_for_any_more_counts_as_not_kept(node: Node) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await node.kept.keep([ROW])
    node.write()
    assert not node.kept.is_whole
    node.kept.keep_due(Roster([NEXT]))
    node.write()
    assert node.kept.is_whole
    assert node.after_a_crash() == [NEXT]


async def test_the_row_in_use_is_on_the_disk_though_another_one_came_while_it_was_written(node: Node) -> None:
    """Ours was written first, and then a lower one that was heard of before ours was in use."""
    await node.keep([OTHER])
    node.kept.keep_soon([NEXT])
    node.write()
    node.kept.stand([OTHER])
    assert not node.kept.is_whole
    node.write()
    assert node.after_a_crash() == [OTHER]


def test_what_stands_as_it_was_written_is_not_written_again(node: Node) -> None:
    node.kept.keep_soon([ROW])
    node.write()
    node.kept.stand([ROW])
    assert node.kept.is_whole


def test_what_is_as_configured_is_not_written_and_misses_nothing(node: Node) -> None:
    node.kept.keep_soon([CONFIGURED])
    assert node.kept.is_whole
    node.write()
    assert node.after_a_crash() == []


async def test_a_failed_change_of_what_is_configured_leaves_nothing_to_be_written(node: Node) -> None:
    node.disk.full = True
    with pytest.raises(ExceptionGroup):
        await node.keep([attrs.evolve(CONFIGURED, counter=1)])
    node.kept.keep_due(Roster([CONFIGURED]))
    assert node.kept.is_whole


def test_rows_of_partitions_are_kept_as_those_of_nodes_are(node: Node) -> None:
    rows: list[Any] = Roster().owned((3,), b"A" * 8, "south")
    node.kept.keep_soon(rows)
    assert not node.kept.is_whole
    node.write()
    assert node.kept.is_whole
    assert node.after_a_crash() == rows
