"""Everybody computes the same order; a member that comes or goes moves only its share; servers are spread."""

import math
import subprocess
import sys
from collections import Counter

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.placement import Placement
from replication.ranking import SPACE, ByHand, Member, Ranking, exactly, roughly

SECRET = bytes(range(32))


def members(count: int, *, per_server: int = 1, weights: tuple[int, ...] = ()) -> list[Member]:
    return [
        Member(bytes([n + 1]) * 8, f"server{n // per_server}", weights[n] if weights else 100)
        for n in range(count)
    ]


def numbers(order: tuple[bytes, ...]) -> list[int]:
    return [node[0] for node in order]


RACKS = st.sampled_from([("",) * 5, ("a", "a", "b", "b", "c"), ("", "a", "a", "b", ""), ("a",) * 5])
"""Of servers 0 to 4."""
MEMBERS = st.tuples(
    RACKS, st.lists(st.tuples(st.integers(0, 4), st.integers(1, 500)), min_size=1, max_size=9)
).map(
    lambda drawn: [
        Member(bytes([n + 1]) * 8, f"server{server}", weight, drawn[0][server])
        for n, (server, weight) in enumerate(drawn[1])
    ]
)


# ---- golden: what other releases and other machines compute ---------------------------------------------

GOLDEN = {
    ("mail", 0): ([4, 1, 6, 3, 5, 2], [4, 6, 1, 3, 5, 2]),
    ("mail", 1): ([2, 6, 1, 5, 4, 3], [2, 6, 5, 1, 4, 3]),
    ("mail", 1023): ([1, 2, 5, 6, 3, 4], [2, 1, 5, 6, 3, 4]),
    ("accounts", 0): ([4, 3, 1, 6, 2, 5], [4, 3, 6, 1, 2, 5]),
}
"""With equal weights, and with weights of 100 × number. Servers: 1 | 2 3 | 4 5 | 6."""


@pytest.mark.parametrize(("group", "partition"), GOLDEN)
def test_the_order_is_the_same_in_every_release(group: str, partition: int) -> None:
    equal = [Member(bytes([n]) * 8, f"s{n // 2}") for n in range(1, 7)]
    weighted = [Member(bytes([n]) * 8, f"s{n // 2}", 100 * n) for n in range(1, 7)]
    assert numbers(Ranking(SECRET, equal).ranked(group, partition)) == GOLDEN[group, partition][0]
    assert numbers(Ranking(SECRET, weighted).ranked(group, partition)) == GOLDEN[group, partition][1]


def test_the_order_is_the_same_in_every_process() -> None:
    script = (
        "from replication.ranking import Member, Ranking\n"
        "ranking = Ranking(bytes(range(32)), [Member(bytes([n]) * 8, f's{n}', 90 + n) for n in (5, 3, 4, 1, 2)])\n"
        "print([[node[0] for node in ranking.ranked('mail', p)] for p in range(64)])\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    ranking = Ranking(SECRET, [Member(bytes([n]) * 8, f"s{n}", 90 + n) for n in (1, 2, 3, 4, 5)])
    assert said == {f"{[numbers(ranking.ranked('mail', p)) for p in range(64)]}\n"}


# ---- shares ---------------------------------------------------------------------------------------------


def within(count: int, draws: int, share: float) -> bool:
    """Five standard deviations of a binomial: fixed hashes, so it holds for good or not at all."""
    return abs(count - draws * share) <= 5 * math.sqrt(draws * share * (1 - share))


@pytest.mark.parametrize("count", [2, 3, 5, 16])
@pytest.mark.parametrize("place", [0, 1])
def test_members_of_equal_weight_have_equal_shares(count: int, place: int) -> None:
    ranking = Ranking(SECRET, members(count))
    found = Counter(ranking.ranked("mail", p)[place] for p in range(4_096))
    assert all(within(found[member.node], 4_096, 1 / count) for member in ranking.members)


def test_shares_of_the_first_place_are_as_the_weights() -> None:
    weights = (50, 100, 100, 200, 550)
    ranking = Ranking(SECRET, members(5, weights=weights))
    found = Counter(ranking.ranked("mail", p)[0] for p in range(8_192))
    assert all(
        within(found[member.node], 8_192, member.weight / sum(weights)) for member in ranking.members
    ), found


def test_the_heirs_of_one_primary_are_spread_over_all_others() -> None:
    """So that a death is shared by all that are left."""
    ranking = Ranking(SECRET, members(5))
    orders = [ranking.ranked("mail", p) for p in range(8_192)]
    first = orders[0][0]
    heirs = Counter(order[1] for order in orders if order[0] == first)
    assert all(within(heirs[m.node], heirs.total(), 1 / 4) for m in ranking.members if m.node != first)


def test_groups_are_placed_independently() -> None:
    ranking = Ranking(SECRET, members(4))
    same = sum(ranking.ranked("mail", p)[0] == ranking.ranked("accounts", p)[0] for p in range(4_096))
    assert within(same, 4_096, 1 / 4)


def test_users_are_spread_over_members_whatever_the_hash_of_partitions_does() -> None:
    placement, ranking = Placement(SECRET), Ranking(SECRET, members(4))
    found = Counter(ranking.ranked("mail", placement.partition_of(user))[0] for user in range(20_000))
    shares = Counter(ranking.ranked("mail", p)[0] for p in range(placement.partitions))
    assert all(within(found[node], 20_000, shares[node] / placement.partitions) for node in shares)


def test_another_secret_is_another_order() -> None:
    one, other = Ranking(SECRET, members(4)), Ranking(bytes(32), members(4))
    same = sum(one.ranked("mail", p)[0] == other.ranked("mail", p)[0] for p in range(4_096))
    assert within(same, 4_096, 1 / 4)


# ---- coming and going -----------------------------------------------------------------------------------


@given(MEMBERS, st.integers(0, 1_023))
def test_an_order_has_every_member_once_however_they_were_named(drawn: list[Member], partition: int) -> None:
    order = Ranking(SECRET, drawn).ranked("mail", partition)
    assert sorted(order) == sorted(member.node for member in drawn)
    assert Ranking(SECRET, reversed(drawn)).ranked("mail", partition) == order


@given(MEMBERS, st.data())
def test_a_member_that_leaves_moves_only_its_share(drawn: list[Member], data: st.DataObject) -> None:
    if len(drawn) == 1:
        return
    gone = data.draw(st.sampled_from(drawn))
    before = Ranking(SECRET, drawn)
    after = Ranking(SECRET, [member for member in drawn if member is not gone])
    for partition in range(32):
        old, new = before.holders("mail", partition, 2), after.holders("mail", partition, 2)
        if gone.node not in old:
            assert new == old
        elif old[0] != gone.node:
            assert new[0] == old[0]
        for copies in (2, 3):
            old = before.holders("mail", partition, copies)
            lost = set(after.holders("mail", partition, copies)) - set(old)
            assert len(lost) <= (gone.node in old), "more than its own copy goes elsewhere"


def test_a_member_that_comes_takes_about_its_share_from_all() -> None:
    before, after = Ranking(SECRET, members(4)), Ranking(SECRET, members(5))
    moved = Counter()
    for p in range(8_192):
        if before.ranked("mail", p)[0] != after.ranked("mail", p)[0]:
            assert numbers(after.ranked("mail", p))[0] == 5
            moved[before.ranked("mail", p)[0]] += 1
    assert within(moved.total(), 8_192, 1 / 5)
    assert all(within(count, moved.total(), 1 / 4) for count in moved.values())


@given(MEMBERS, st.integers(1, 500), st.data())
def test_another_weight_moves_partitions_only_to_or_from_that_member(
    drawn: list[Member], weight: int, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(drawn) - 1))
    changed = list(drawn)
    changed[place] = attrs.evolve(drawn[place], weight=weight)
    before, after = Ranking(SECRET, drawn), Ranking(SECRET, changed)
    grows = weight >= drawn[place].weight
    for partition in range(32):
        old, new = before.ranked("mail", partition)[0], after.ranked("mail", partition)[0]
        if old != new:
            assert (new if grows else old) == drawn[place].node


# ---- servers --------------------------------------------------------------------------------------------


@given(MEMBERS, st.integers(0, 1_023))
def test_no_server_comes_twice_before_all_have_come(drawn: list[Member], partition: int) -> None:
    server = {member.node: member.server for member in drawn}
    order = [server[node] for node in Ranking(SECRET, drawn).ranked("mail", partition)]
    count = len(set(order))
    assert len(set(order[:count])) == count


@given(MEMBERS, st.integers(0, 1_023))
def test_no_rack_comes_twice_before_all_have_come(drawn: list[Member], partition: int) -> None:
    rack = {member.node: member.rack or member.server for member in drawn}
    order = [rack[node] for node in Ranking(SECRET, drawn).ranked("mail", partition)]
    count = len(set(order))
    assert len(set(order[:count])) == count


def racked() -> list[Member]:
    """Three servers in each of two racks, two members on each server."""
    return [Member(bytes([n + 1]) * 8, f"server{n // 2}", rack=f"rack{n // 6}") for n in range(12)]


def test_primary_and_heir_are_in_different_racks_and_the_spare_on_a_third_server() -> None:
    at = {member.node: member for member in racked()}
    ranking = Ranking(SECRET, at.values())
    for p in range(256):
        primary, heir, spare = (at[node] for node in ranking.holders("mail", p, 3))
        assert primary.rack != heir.rack
        assert len({primary.server, heir.server, spare.server}) == 3


def test_racks_choose_no_primary_and_where_all_are_in_one_they_choose_nothing() -> None:
    unsaid = Ranking(SECRET, [attrs.evolve(member, rack="") for member in racked()])
    one = Ranking(SECRET, [attrs.evolve(member, rack="r") for member in racked()])
    two = Ranking(SECRET, racked())
    for p in range(256):
        assert one.ranked("mail", p) == unsaid.ranked("mail", p)
        assert two.ranked("mail", p)[0] == unsaid.ranked("mail", p)[0]


def test_a_label_of_a_rack_that_is_new_brings_no_two_copies_onto_one_server() -> None:
    half = [attrs.evolve(member, rack="") if n % 2 else member for n, member in enumerate(racked())]
    at = {member.node: member.server for member in half}
    ranking = Ranking(SECRET, half)
    assert all(len({at[node] for node in ranking.holders("mail", p, 3)}) == 3 for p in range(256))


def test_a_member_in_a_new_rack_takes_only_its_share_of_all_copies() -> None:
    new = Member(b"x" * 8, "new", rack="rack2")
    before, after = Ranking(SECRET, racked()), Ranking(SECRET, [*racked(), new])
    moved = sum(
        len(set(before.holders("mail", p, 2)) - set(after.holders("mail", p, 2))) for p in range(2_048)
    )
    held = sum(new.node in after.holders("mail", p, 2) for p in range(2_048))
    assert moved == held < 2_048 // 2, "nothing moves but to it"


def test_primary_and_heir_are_on_one_server_only_if_there_is_no_other() -> None:
    ranking = Ranking(SECRET, members(4, per_server=4))
    assert all(len(ranking.holders("mail", p, 2)) == 2 for p in range(64))


# ---- weights --------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, SPACE - 1), st.integers(1, 10_000)), min_size=2, max_size=2))
def test_floats_agree_with_decimals_wherever_they_are_asked(drawn: list[tuple[int, int]]) -> None:
    for h, weight in drawn:
        assert math.isclose(roughly(h, weight), float(exactly(h, weight)), rel_tol=1e-13)
        assert roughly(h, weight) > 0


@pytest.mark.parametrize("h", [0, 1, SPACE // 2 - 1, SPACE // 2, SPACE - 2, SPACE - 1])
def test_the_ends_of_the_range_are_no_exception(h: int) -> None:
    assert math.isclose(roughly(h, 7), float(exactly(h, 7)), rel_tol=1e-13)


def test_members_that_draw_almost_the_same_are_ordered_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours of which a float can't say which is less."""
    ranking = Ranking(SECRET, members(3, weights=(100, 100, 200)))
    draws = {1: SPACE // 2 + 1, 2: SPACE // 2, 3: 5}
    monkeypatch.setattr(Ranking, "_draw", lambda _, name: draws[name[-1]])
    assert numbers(ranking.ranked("mail", 0)) == [1, 2, 3]


# ---- by hand --------------------------------------------------------------------------------------------


def test_copies_placed_by_hand_are_where_they_were_named() -> None:
    a, b, c, d = (member.node for member in members(4))
    hand = {"config": ByHand((c, a)), "wide": ByHand((d, b, a), in_order=False)}
    ranking = Ranking(SECRET, members(4), hand)
    assert {ranking.ranked("config", p) for p in range(32)} == {(c, a)}
    assert {ranking.holders("wide", p, 1) for p in range(32)} == {(d,), (b,), (a,)}
    assert all(set(ranking.ranked("wide", p)) == {a, b, d} for p in range(32))
    assert ranking.ranked("mail", 0) == Ranking(SECRET, members(4)).ranked("mail", 0)


def test_a_node_that_is_not_configured_holds_nothing() -> None:
    a, b = (member.node for member in members(2))
    ranking = Ranking(
        SECRET, members(2), {"config": ByHand((b"stranger", b)), "gone": ByHand((b"stranger",))}
    )
    assert ranking.ranked("config", 0) == (b,)
    assert ranking.ranked("gone", 0) == ()
    assert set(ranking.ranked("mail", 0)) == {a, b}


def test_what_makes_no_ranking_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        Ranking(SECRET, [Member(b"a", "s1"), Member(b"a", "s2")])
    with pytest.raises(ValueError, match="0 members"):
        Ranking(SECRET, [])
    with pytest.raises(ValueError, match="32 bytes"):
        Ranking(b"short", members(2))
    with pytest.raises(ValueError, match="weight"):
        Member(b"a", "s", 0)
    with pytest.raises(ValueError, match="label"):
        Member(b"a", "")
    with pytest.raises(ValueError, match="different"):
        ByHand((b"a", b"a"))
    with pytest.raises(ValueError, match="different"):
        ByHand(())


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication.ranking.RANKED_KEPT_MAX", 10)
    ranking = Ranking(SECRET, members(3))
    orders = [ranking.ranked("mail", p) for p in range(64)]
    assert len(ranking._kept) <= 10
    assert [ranking.ranked("mail", p) for p in range(64)] == orders
