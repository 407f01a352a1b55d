"""Rosters: whoever has heard of the same rows knows the same, in whatever order and however often they came."""

from __future__ import annotations

import attrs
import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.membership.errors import KeyTaken, MemberRemoved, NoSuchMember, RosterFull
from replication.membership.exchange import IDS_MAX
from replication.membership.keeping import ENTRIES_MAX
from replication.membership.member import ACTIVE, LEAVING, REMOVED, Member, RowUnusable
from replication.membership.owner import Owner
from replication.membership.roster import MEMBERS_MAX, MERGED_MAX, NO_DIGEST, ROWS_MAX, Entry, Roster
from replication.placed import PARTITIONS_MAX

NODES = [bytes([65 + n]) * 8 for n in range(4)]
members = st.builds(
    Member,
    node=st.sampled_from(NODES),
    counter=st.integers(0, 3),
    editor=st.sampled_from(NODES[:2]),
    state=st.integers(0, 3),
    weight=st.integers(0, 2),
    departs=st.booleans(),
    revoked=st.sampled_from([(), (b"8 bytes!",)]),
    admin=st.sampled_from(["", "10.0.0.1:7444"]),
    admin_key=st.sampled_from(["", "public"]),
    rest=st.sampled_from([(), ("later",), (1, b"x")]),
)
owners = st.builds(
    Owner,
    partition=st.integers(0, 2),
    cluster=st.sampled_from(["north", "south"]),
    counter=st.integers(0, 2),
    editor=st.sampled_from(NODES[:2]),
)
rows = st.lists(st.one_of(members, owners), max_size=12)


def known(roster: Roster) -> tuple[object, object]:
    return (roster.members, roster.owners)


@given(rows, rows)
def test_the_order_does_not_matter(one: list[Entry], other: list[Entry]) -> None:
    here, there = Roster(one), Roster(other)
    here.merge(other)
    there.merge(one)
    assert known(here) == known(there)
    assert here.digest == there.digest


@given(rows, rows, rows)
def test_nor_do_groups_in_which_rows_come(a: list[Entry], b: list[Entry], c: list[Entry]) -> None:
    left, right = Roster(a), Roster(b)
    left.merge(b)
    left.merge(c)
    right.merge(c)
    together = Roster(a)
    together.merge([*right.members.values(), *right.owners.values()])
    assert known(left) == known(together)


@given(rows)
def test_what_comes_twice_changes_nothing(some: list[Entry]) -> None:
    roster = Roster(some)
    before, digest = dict(roster.members), roster.digest
    assert roster.merge(some) == []
    assert (roster.members, roster.digest) == (before, digest)


@given(rows, rows)
def test_digests_differ_where_rows_do(one: list[Entry], other: list[Entry]) -> None:
    a, b = Roster(one), Roster(other)
    assert (a.digest == b.digest) == (known(a) == known(b))


@given(rows, rows)
def test_two_that_compare_know_the_same(one: list[Entry], other: list[Entry]) -> None:
    a, b = Roster(one), Roster(other)
    lacking, wanted = a.differing(b.hashes())
    a.merge(row for identity in wanted if (row := b.entry(identity)) is not None)
    b.merge(lacking)
    assert known(a) == known(b)


@given(rows)
def test_removed_is_final(some: list[Entry]) -> None:
    roster = Roster(some)
    removed = {row.node for row in roster.members.values() if row.state == REMOVED}
    roster.merge(Member(node=node, counter=100, editor=NODES[0]) for node in removed)
    assert {node for node, row in roster.members.items() if row.state == REMOVED} == removed


@given(st.one_of(members, owners))
def test_a_row_comes_back_from_its_form(row: Entry) -> None:
    assert type(row).from_row(cbor2.loads(row.encoded)) == row


def test_what_a_newer_version_adds_is_kept_and_told_on() -> None:
    row = [*Member(node=NODES[0], key="k", departs=True, admin="h:1").row(), "new", [1, 2]]
    roster = Roster()
    roster.merge(roster.read([row], []))
    assert roster.members[NODES[0]].row() == row
    assert roster.edited(NODES[0], NODES[1], weight=5).row()[-2:] == ["new", [1, 2]]


def test_a_row_that_says_nothing_new_is_as_older_versions_write_it() -> None:
    assert len(Member(node=NODES[0]).row()) == 14
    assert len(Member(node=NODES[0], departs=True).row()) == 16
    assert Member(node=NODES[0], admin="ipc:///a", admin_key="k").row()[14:] == [False, [], "ipc:///a", "k"]


@pytest.mark.parametrize(
    "row",
    [
        [],
        [1],
        Member(node=b"short").row(),
        attrs.evolve(Member(node=NODES[0]), weight=10_001).row(),
        attrs.evolve(Member(node=NODES[0]), state=4).row(),
        attrs.evolve(Member(node=NODES[0]), server="x" * 257).row(),
        attrs.evolve(Member(node=NODES[0]), rest=("x" * 5_000,)).row(),
        Member(node=NODES[0], revoked=(b"short",)).row(),
        [*Member(node=NODES[0]).row(), "neither"],
        [*Member(node=NODES[0], departs=True).row(), "an address", 1],
        attrs.evolve(Member(node=NODES[0]), admin="x" * 257).row(),
        attrs.evolve(Member(node=NODES[0]), speaks=(2, 1)).row(),
    ],
)
def test_what_is_no_row_is_counted_and_left_out(row: list[object]) -> None:
    with pytest.raises(RowUnusable):
        Member.from_row(row)
    roster = Roster()
    assert roster.read([row, Member(node=NODES[1]).row()], []) == [Member(node=NODES[1])]
    assert roster.refused == 1


def test_an_edit_stands_over_what_it_was_made_of() -> None:
    roster = Roster([Member(node=NODES[0], key="a", counter=4, editor=NODES[1])])
    assert roster.merge([roster.edited(NODES[0], NODES[2], state=LEAVING)]) != []
    assert (roster.members[NODES[0]].counter, roster.members[NODES[0]].state) == (5, LEAVING)


def test_what_cannot_be_edited_says_why() -> None:
    roster = Roster([Member(node=NODES[0], state=REMOVED, key="a"), Member(node=NODES[1], key="b")])
    with pytest.raises(MemberRemoved):
        roster.edited(NODES[0], NODES[1], weight=1)
    with pytest.raises(NoSuchMember):
        roster.edited(NODES[2], NODES[1], weight=1)
    with pytest.raises(KeyTaken):
        roster.invited(NODES[2], NODES[1], "a")
    with pytest.raises(KeyTaken):
        roster.edited(NODES[1], NODES[1], next_key="a")
    roster.edited(NODES[1], NODES[1], key="b")


def nodes(count: int, state: int) -> list[Entry]:
    return [Member(node=n.to_bytes(8, "big"), state=state, key=str(n)) for n in range(count)]


def test_there_is_an_end_to_members_and_what_others_let_in_stands_all_the_same() -> None:
    roster = Roster(nodes(MEMBERS_MAX, ACTIVE))
    with pytest.raises(RosterFull, match="there are 1000 members"):
        roster.invited(NODES[0], NODES[1], "new")
    other = Roster([*roster.members.values(), Member(node=NODES[0], key="invited elsewhere")])
    roster.merge(other.members.values())
    assert (roster.digest, roster.refused) == (other.digest, 0)


def test_removed_members_make_room_and_are_remembered() -> None:
    roster = Roster(nodes(ROWS_MAX - 1, REMOVED))
    roster.merge([roster.invited(NODES[0], NODES[1], "new")])
    with pytest.raises(RosterFull, match="with those that were removed"):
        roster.invited(NODES[2], NODES[1], "newer")
    assert roster.merge([Member(node=NODES[2])]) != []


def test_every_row_of_a_full_roster_has_room_in_a_message() -> None:
    assert MERGED_MAX + PARTITIONS_MAX <= IDS_MAX
    assert MERGED_MAX + PARTITIONS_MAX <= ENTRIES_MAX


def test_a_roster_without_rows_has_a_digest_of_its_own() -> None:
    assert Roster().digest == NO_DIGEST
