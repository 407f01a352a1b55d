"""The worlds of one cluster and of several: keys that change, numbers that are registered, partitions that go from one
cluster to another. No seed breaks a promise, much happens, and planted bugs are found."""

from __future__ import annotations

import attrs
import pytest

from node import majority
from node.accounts import registrar, registration
from node.routing import keeping
from ops.simulation.cluster.drawing import NUMBER, USERS
from ops.simulation.cluster.node import KEPT
from ops.simulation.cluster.scenario import Cluster
from ops.simulation.plan import Plan, Step
from ops.simulation.running import draw, perform
from replication.membership import far, rebalancing, rekeying
from replication.membership.membership import Membership
from replication.zeromq import members
from tests.ops.simulation.planting import Plant
from tests.ops.simulation.test_worlds import elsewhere

SEEDS = 4
STEPS = 60
"""Longer worlds are for `waystation simulate --world clusters`."""
ROUNDS = 50
"""A planted bug mostly keeps a world from coming to rest: it isn't waited for as long as without one."""


def test_no_seed_of_several_clusters_breaks_a_promise_and_much_happens() -> None:
    totals: dict[str, int] = {}
    for seed in range(SEEDS):
        outcome = perform(draw("clusters", seed, None, STEPS))
        assert not outcome.rule, outcome
        for what, count in outcome.totals.items():
            totals[what] = totals.get(what, 0) + count
    assert totals["handed"] > 20 * SEEDS
    for what in (
        "assigns begun",
        "keys changed",
        "granted",
        "moved home",
        "looks in the calm",
        "fault split",
    ):
        assert totals.get(what, 0) > 0, what


def test_a_seed_of_several_clusters_is_the_same_each_time() -> None:
    # In other processes: sets of nodes have another order there. Gateways were engaged in that of a set.
    assert elsewhere("clusters", 1, "0", 4) == elsewhere("clusters", 1, "2", 4)


def test_a_key_that_changed_while_a_disk_was_full_is_on_that_disk_later() -> None:
    outcome = perform(draw("clusters", 119, None, 60))
    assert not outcome.rule, outcome


def test_what_is_merged_is_known_to_the_checkers() -> None:
    assert set(Cluster.merged) == {table.name for table in KEPT.tables if table.merge is not None}


# ---- keys -------------------------------------------------------------------------------------------------


def forgotten(seed: int) -> Plan:
    """A node changes its key while the others' disks are full; then these lose power, and there is room."""
    drawn = draw("cluster", seed, 3, 0)
    steps = [Step(500, "full", (node,)) for node in (1, 2)] + [Step(600, "rotate", (0,))]
    steps += [Step(2_500, "crash", (node,)) for node in (1, 2)]
    return attrs.evolve(drawn, knobs={**drawn.knobs, "founders": 3, "newcomers": 0}, steps=tuple(steps))


def test_a_key_that_others_know_and_have_not_on_their_disks_is_not_used() -> None:
    outcome = perform(forgotten(0))
    assert not outcome.rule, outcome
    assert outcome.totals["rotates begun"] == 1
    assert outcome.totals["keys changed"] == 0


# ---- a cluster that is cut off, and a side without a majority ------------------------------------------------


def cut_off(seed: int) -> Plan:
    """One of two clusters is cut off while users of both write to everybody."""
    drawn = draw("clusters", seed, 4, 0)
    composed = [
        Step(1_000 + at * 20, "compose", (at, at % USERS + 1, (at + 3) % USERS + 1)) for at in range(100)
    ]
    knobs = {"founders": 4, "newcomers": 0, "labels": ["north", "north", "south", "south"]}
    return attrs.evolve(
        drawn, knobs={**drawn.knobs, **knobs}, steps=(Step(500, "split", ((0, 1),)), *composed)
    )


def test_a_cluster_that_is_cut_off_costs_the_others_nothing() -> None:
    outcome = perform(cut_off(0))
    assert not outcome.rule, outcome
    assert outcome.totals["busy"] > 0
    assert outcome.totals["handed"] == 100


def minority(seed: int) -> Plan:
    """Two nodes of five are cut off when numbers are asked for, everywhere."""
    drawn = draw("cluster", seed, 5, 0)
    asked = [Step(1_500, "register", (NUMBER + one,)) for one in range(3)]
    steps = (Step(300, "split", ((0, 1),)), *asked, Step(4_000, "heal"))
    return attrs.evolve(drawn, knobs={**drawn.knobs, "founders": 5, "newcomers": 3}, steps=steps)


# ---- planted bugs -----------------------------------------------------------------------------------------

PLANTS = (
    Plant(
        "a former key isn't revoked",
        rekeying.Rotation, "done",
        "revoked=revoked", "revoked=()",
        range(5, 6), {"own key"}, steps=60,
    ),
    Plant(
        "a former key opens as before",
        members.Roster, "put",
        "self.drop(member.node)", "pass",
        range(5, 6), {"revoked key"}, steps=60,
    ),
    Plant(
        "a used PIN registers another device",
        registration, "register_device",
        "(account.key, account.stream) != (event.key, event.stream)", "False",
        range(2), {"two owners"}, steps=60,
    ),
    Plant(
        "an account isn't written",
        registrar, "register_device_in",
        "txn.put(ACCOUNT.name, key, step.account.to_value())", "pass",
        range(2), {"two owners", "lost registration"}, steps=60,
    ),
    Plant(
        "what another cluster is to own stays",
        rebalancing, "misplaced",
        "if ranked[0] != state.me and", "if ranked[0] != state.me and ranked[0] not in state.far and",
        range(1), {"owned"}, world="clusters", steps=60,
    ),
    Plant(
        "nodes of other clusters never rest",
        far.Far, "step",
        "now - used_at >= self._idle_ms", "False",
        range(2, 3), {"far links"}, world="clusters", steps=60,
    ),
    Plant(
        "a key is used before anybody has heard of it",
        rekeying.Rotation, "missing",
        "if membership.own.next_key != self._key", "if True:\n        return []\n    if False",
        range(67, 68), {"locked out"}, steps=60,
    ),
    Plant(
        "a key is used when all have only heard of it",
        rekeying.Rotation, "missing",
        "membership.exchange.has_kept", "membership.exchange.knows",
        range(1), {"locked out"}, plan=forgotten,
    ),
    Plant(
        "owners that others tell of aren't written",
        Membership, "_hear",
        "for row in (*rows, *corrected)", "for row in (*rows, *corrected) if isinstance(row, Member)",
        range(1), {"owners agree"}, world="clusters", steps=60,
    ),
    Plant(
        "any members are a majority",
        majority, "is_seen",
        "return WHOLE * there > len(active)", "return there > 0",
        range(1, 6), {"without a majority"}, plan=minority,
    ),
    Plant(
        "the end of a wipe forgets whose number it is",
        registrar, "wiped_in",
        "txn.put(ACCOUNT.name, key, done.to_value())", "txn.delete(ACCOUNT.name, key)",
        range(2, 5), {"lost registration"}, steps=60,
    ),
    Plant(
        "sends wait until every partition has a primary",
        keeping, "pass_on",
        "assert line is not None",
        "assert line is not None\n    if any(one.since for one in state.parts): return False",
        range(2, 3), {"late in the calm"}, plan=cut_off,
    ),
)  # fmt: skip


@pytest.mark.parametrize("bug", PLANTS, ids=lambda bug: bug.what.replace(" ", "-"))
def test_a_planted_bug_is_found(monkeypatch: pytest.MonkeyPatch, bug: Plant) -> None:
    monkeypatch.setattr(Cluster, "rounds_max", ROUNDS)
    bug.put(monkeypatch)
    assert bug.found() in bug.rules
