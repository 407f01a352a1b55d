"""Two change one row at the same time: neither change is lost, and what the node itself decides least of all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.membership import rekeying
from replication.membership.errors import KeyTaken, NotNow
from replication.membership.intents import AGAIN_MAX, Intents
from replication.membership.member import LEAVING, Member
from replication.membership.roster import Roster
from replication.tables import CLUSTER
from replication.zeromq.keys import KEY_FILE, ensure_key_file
from store.errors import DiskFull
from store.group import OpenGroup
from tests.replication.members import Members, members_of
from tests.replication.membership.test_far import FAR, KEPT
from tests.replication.membership.test_membership_running import agree
from tests.replication.zeromq.cluster import until

A, B = b"A" * 8, b"B" * 8
LAST = b"\xff" * 8
"""An editor who wins when two have changed a row equally often."""


class Editor:
    """One node's roster, and what it means."""

    def __init__(self, me: bytes) -> None:
        self.me = me
        self.roster = Roster([Member(node=A, key="a"), Member(node=B, key="b")])
        self.intents = Intents(me, {})

    def edit(self, node: bytes, **changes: Any) -> None:
        row = self.roster.edited(node, self.me, **changes)
        self.intents.take(self.intents.note(self.roster, [row]))
        self.roster.merge([row])

    def hear(self, other: Editor) -> None:
        self.roster.merge(other.roster.members.values())
        for node, changes in list(self.intents.lost(self.roster)):
            self.edit(node, **changes)


def talk(*editors: Editor) -> None:
    for _ in range(4):
        for one in editors:
            for other in editors:
                one.hear(other)


CHANGES = st.dictionaries(
    st.sampled_from(["address", "public", "server", "rack"]), st.just("new"), min_size=1
)


@settings(max_examples=50)
@given(CHANGES, CHANGES, st.integers(1, 3))
def test_changes_of_one_row_at_the_same_time_are_all_kept(
    one: dict[str, str], other: dict[str, str], times: int
) -> None:
    a, b = Editor(A), Editor(B)
    a.edit(A, state=LEAVING, departs=True, next_key="next", **one)
    for weight in range(times):
        b.edit(A, weight=weight, **other)
    talk(a, b)
    assert a.roster.digest == b.roster.digest
    row = b.roster.members[A]
    assert (row.state, row.departs, row.next_key, row.weight) == (LEAVING, True, "next", times - 1)
    assert {name: getattr(row, name) for name in one | other} == one | other


def test_two_who_want_different_things_agree_on_one_and_what_was_heard_is_not_made_again() -> None:
    a, b = Editor(A), Editor(B)
    a.edit(B, weight=20)
    b.edit(B, weight=30)
    talk(a, b)
    assert a.roster.members[B].weight == b.roster.members[B].weight == 30
    a.edit(B, weight=40)
    talk(a, b)
    a.intents.settled()
    b.edit(B, weight=30)  # who knew of it takes it back
    talk(a, b)
    assert a.roster.members[B].weight == b.roster.members[B].weight == 30


def test_two_who_put_back_what_the_other_one_changed_come_to_an_end() -> None:
    a, b = Editor(A), Editor(B)
    a.edit(B, weight=50)
    b.hear(a)
    b.edit(B, weight=100)  # not everybody has been heard to agree: neither forgets what it wanted
    for _ in range(AGAIN_MAX):
        talk(a, b)
    counter = a.roster.members[B].counter
    talk(a, b)
    assert a.roster.digest == b.roster.digest
    assert a.roster.members[B].counter == b.roster.members[B].counter == counter <= 2 + 2 * AGAIN_MAX


def test_where_a_node_is_operated_is_its_own_to_say_and_others_changes_do_not_undo_it() -> None:
    a, b = Editor(A), Editor(B)
    a.intents.mean({"admin": "10.0.0.1:7444", "admin_key": "public"})
    b.edit(A, weight=7)
    talk(a, b)
    row = b.roster.members[A]
    assert (row.admin, row.admin_key, row.weight) == ("10.0.0.1:7444", "public", 7)
    b.edit(A, admin="elsewhere")
    talk(a, b)
    assert b.roster.members[A].admin == "10.0.0.1:7444"
    with pytest.raises(AssertionError):
        a.intents.mean({"weight": 1})


def overrule(members: Members, row: Member) -> None:
    """b, who hasn't heard of a's last change, has made one that wins."""
    members["b"].membership.tell([row])


async def test_a_change_of_the_row_while_a_key_is_rotated_locks_nobody_out(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        a, b = members["a"], members["b"]
        await until(lambda: a.is_alive(b.me) and b.is_alive(a.me) and agree(members))
        row = attrs.evolve(b.membership.roster.edited(a.me, b.me, weight=7), editor=LAST)
        told, edit = [row], a.membership.edit

        async def edit_and_be_overruled(rows: Any) -> None:
            await edit(rows)
            if told:
                overrule(members, told.pop())
                await until(lambda: a.membership.own.weight == 7)

        a.membership.edit = edit_and_be_overruled  # type: ignore[method-assign]
        before = a.membership.own.key
        key = await a.operate.rotate_key()
        await until(lambda: agree(members) and b.is_alive(a.me))
        known = b.membership.roster.members[a.me]
        assert (known.keys, known.weight) == ((key,), 7)
        with pytest.raises(KeyTaken):
            await b.operate.invite(before, server="x")


async def test_a_node_that_ended_before_it_took_its_old_key_back_does_so_when_it_starts(
    tmp_path: Path,
) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        a, b = members["a"], members["b"]
        old, node = a.membership.own.key, a.me
        keys = ensure_key_file(tmp_path / "a" / rekeying.NEXT_KEY_FILE, "of a test")
        await a.membership.edit([a.membership.roster.edited(node, node, next_key=keys.public)])
        await until(lambda: agree(members))
        await members.stop("a")
        (tmp_path / "a" / rekeying.NEXT_KEY_FILE).rename(tmp_path / "a" / KEY_FILE)
        members.changes = {"node": node}
        await members.start("a")
        await until(lambda: b.membership.roster.members[node].keys == (keys.public,))
        with pytest.raises(KeyTaken):
            b.membership.roster.require_free(old)


async def test_a_key_is_not_changed_before_all_have_it_on_their_disks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who knows of it, and comes back without it, would turn the node away that has it."""
    async with members_of(tmp_path, "ab", KEPT) as members:
        a, b = members["a"], members["b"]
        await until(lambda: a.is_alive(b.me) and b.is_alive(a.me) and agree(members))
        group, before = b.store.group(CLUSTER.name), a.membership.own.key

        submit = OpenGroup.submit

        def full(to: OpenGroup, writes: Any, done: Any) -> None:
            if to is group:
                raise DiskFull("no room")
            submit(to, writes, done)

        with monkeypatch.context() as disk:
            disk.setattr(OpenGroup, "submit", full)
            with pytest.raises(NotNow, match=f"on their disks: {b.me.hex()}"):
                await a.operate.rotate_key(1.0)
            await until(lambda: a.membership.exchange.knows(b.me))
            assert b.membership.roster.members[a.me].keys == (before,)
            assert not b.membership.is_kept
        key = await a.operate.rotate_key()
        await members.stop("b")
        await members.start("b")
        await until(lambda: agree(members) and members["b"].is_alive(a.me))
        assert members["b"].membership.roster.members[a.me].keys == (key,)


async def test_a_release_that_does_not_say_what_is_on_its_disk_has_no_key_changed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        a, b = members["a"], members["b"]
        await until(lambda: a.is_alive(b.me) and b.is_alive(a.me) and agree(members))
        with monkeypatch.context() as release:
            release.setattr(b.membership, "beating", lambda: (b.membership.roster.digest,))
            with pytest.raises(NotNow, match=b.me.hex()):
                await a.operate.rotate_key(0.5)
            await until(lambda: a.membership.exchange.knows(b.me))
        await a.operate.rotate_key()


async def test_a_key_is_not_changed_before_another_cluster_knows_it(tmp_path: Path) -> None:
    async with members_of(tmp_path, "a", KEPT) as members:
        members.changes = {"membership": FAR}
        await members.join("c", "a", cluster="south")
        a = members["a"]
        await until(lambda: agree(members))
        await members.stop("c")
        key = a.membership.own.key
        await a.operate.change(a.me, weight=50)  # c doesn't know
        with pytest.raises(NotNow, match="cluster 'south'"):
            await a.operate.rotate_key(1.0)
        assert a.membership.own.keys == (key,)
        await members.start("c")
        key = await a.operate.rotate_key()
        await until(lambda: members["c"].membership.roster.members[a.me].keys == (key,))
        await until(lambda: a.links.is_connected(members.node("c"), None))
