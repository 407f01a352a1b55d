"""A node that has another key puts it back in its row when somebody who hasn't heard of it has changed that, and the
keys that it has revoked stay so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import structlog

from replication.membership import refusal
from replication.membership.errors import KeyTaken
from replication.membership.member import Member
from replication.zeromq.link import NOT_ADMITTED, STRANGE
from tests.replication.members import members_of
from tests.replication.membership.test_far import KEPT
from tests.replication.membership.test_membership_running import agree
from tests.replication.zeromq.cluster import until

LAST = b"\xff" * 8
"""An editor who wins when two have changed a row equally often."""


def changed_twice(before: Member, after: Member) -> Iterator[Member]:
    """The row of before, changed by somebody who hasn't heard of the one after: twice more than that was."""
    for more in (1, 2):
        yield attrs.evolve(before, counter=after.counter + more, editor=LAST, weight=50 + more)


@pytest.mark.parametrize("restarted", [False, True], ids=["runs", "has-started-again"])
async def test_a_node_puts_its_key_back_over_changes_by_somebody_who_has_not_heard_of_it(
    tmp_path: Path, restarted: bool
) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        a, node = members["a"], members.node("a")
        await until(lambda: a.is_alive(members.node("b")) and agree(members))
        before = a.membership.own
        key = await a.operate.rotate_key()
        await until(lambda: agree(members))
        if restarted:
            members.changes = {"node": node}
            await members.stop("a")
            await members.start("a")
            a = members["a"]
            await until(lambda: a.is_alive(members.node("b")) and agree(members))
        for row in changed_twice(before, a.membership.own):
            members["b"].membership.tell([row])
            await until(lambda row=row: a.membership.own.weight == row.weight and agree(members))  # type: ignore[misc]
            for one in members.up.values():
                row = one.membership.roster.members[node]
                assert row.keys == (key,)
                with pytest.raises(KeyTaken):
                    one.membership.roster.require_free(before.key)
        await until(lambda: members["b"].is_alive(node) and a.is_alive(members.node("b")))


async def test_who_joined_and_runs_first_after_the_only_member_has_another_key_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusal, "STRANGE_MS", 500)
    async with members_of(tmp_path, "a", KEPT) as members:
        await members.join("c", "a", run=False)
        key = await members["a"].operate.rotate_key()
        with structlog.testing.capture_logs() as said:
            await members.start("c")
            c = members["c"]
            await until(lambda: c.links.refused() == STRANGE)
            await until(lambda: any(line["log_level"] == "error" for line in said))
        errors = [line for line in said if line["log_level"] == "error"]
        assert len(errors) == 1
        assert "join again, with another key" in errors[0]["remedy"]
        group = c.group("kept")
        assert not any(group.serves(p) for p in range(group.placed.partitions))
        assert c.membership.roster.members[members.node("a")].key != key


async def test_what_a_node_that_knows_a_former_key_says_keeps_no_member_from_serving(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        a, b = members["a"], members["b"]
        await until(lambda: a.is_alive(b.me) and agree(members))
        kept = members.groups("kept")
        await until(lambda: all(group.is_live(p) for group in kept for p in range(KEPT.partitions)))
        await members.join("c", "a", run=False)
        await a.operate.rotate_key()
        await until(lambda: agree(members))
        await members.stop("ba")
        await members.start("c")
        members.changes = {"node": members.node("a")}
        await members.start("a")
        a = members["a"]
        await until(lambda: a.links.refused() == NOT_ADMITTED)
        await until(lambda: all(a.group("kept").serves(p) for p in range(KEPT.partitions)))
        assert members.node("c") not in a.nodes


async def test_who_joined_hears_of_a_key_that_changed_since_from_any_other_member(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        a, b = members["a"], members["b"]
        await until(lambda: a.is_alive(b.me) and agree(members))
        await members.join("c", "a", run=False)
        key = await a.operate.rotate_key()
        await members.start("c")
        c = members["c"]
        await until(lambda: c.membership.roster.members[a.me].keys == (key,) and c.is_alive(a.me))
