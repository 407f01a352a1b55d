"""The world of a cluster: no seed breaks a promise, much happens in it, and planted bugs of its routing are found."""

from __future__ import annotations

import random

import attrs
import pytest

from node.mail import telling
from node.mail.reconcile import Reconcile
from node.mail.rows import MailTables
from node.routing import hosting, keeping, opening
from node.routing import telling as routed
from ops.simulation.cluster.drawing import USERS
from ops.simulation.plan import Plan, Step
from ops.simulation.running import draw, perform
from replication import ranking
from replication.core import taking
from tests.ops.simulation.planting import Plant

SEEDS = 6
STEPS = 100
"""Longer worlds are for `waystation simulate --world cluster`."""


def test_no_seed_breaks_a_promise_and_much_happens() -> None:
    totals: dict[str, int] = {}
    for seed in range(SEEDS):
        outcome = perform(draw("cluster", seed, None, STEPS))
        assert not outcome.rule, outcome
        for what, count in outcome.totals.items():
            totals[what] = totals.get(what, 0) + count
    assert totals["handed"] > 30 * SEEDS
    assert totals["ticked at 2"] > totals["ticked at 1"] > 0
    assert totals["ticked at 0"] > 0
    assert totals["serves"] > 10 * SEEDS, "nothing was ever taken over"
    for what in (
        "busy",
        "gap",
        "resent",
        "superseded",
        "looks in the calm",
        "looked at what is untold",
        "connections lost",
        "joined",
        "left",
        "moved home",
    ):
        assert totals.get(what, 0) > 0, what


def test_a_seed_is_the_same_each_time() -> None:
    digests = [perform(draw("cluster", seed, 3, 40), digest=True).digest for seed in (5, 5, 6)]
    assert digests[0] == digests[1] != digests[2]


def test_who_leaves_after_a_split_leaves_nothing_behind() -> None:
    """What a node accepted alone is asked for by whoever won, before it goes."""
    drawn = draw("cluster", 3202, None, 120)
    steps = (Step(103, "split", ((1, 2),)), Step(443, "compose", (0, 1, 2)), Step(535, "leave", (0, 0)))
    outcome = perform(attrs.evolve(drawn, steps=steps))
    assert not outcome.rule, outcome
    assert outcome.totals["left"] == 1
    assert outcome.totals["handed"] == 1


# ---- failover -------------------------------------------------------------------------------------------


def crash(seed: int) -> Plan:
    """A node that is primary of some partitions dies while phones talk, and stays dead in a long calm."""
    drawn = draw("cluster", seed, 3, 0)
    steps = [Step(at * 40, "compose", (at, at % USERS + 1, (at + 3) % USERS + 1)) for at in range(20)]
    steps += [Step(1_000, "crash", (1,)), Step(2_500, "compose", (20, 1, 2))]
    return attrs.evolve(drawn, knobs={**drawn.knobs, "founders": 3, "newcomers": 0}, steps=tuple(steps))


CRASHES = range(3)


def test_what_a_dead_node_served_is_served_by_its_heirs() -> None:
    for seed in CRASHES:
        outcome = perform(crash(seed))
        assert not outcome.rule, outcome
        assert outcome.totals["handed"] == 21


@pytest.mark.parametrize("seed", CRASHES)
def test_an_heir_that_never_takes_over_is_found(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """By each of these plans: nothing else could serve what the dead node did, for nobody starts it."""
    monkeypatch.setattr(taking, "_next", lambda state, part: False)
    assert perform(crash(seed)).rule in {"served again", "late in the calm"}


# ---- placement ------------------------------------------------------------------------------------------


def back(seed: int) -> Plan:
    """Four nodes on two servers, of which one dies and comes back; then nothing happens for longer than copies need to
    be where they are wanted."""
    drawn = draw("cluster", seed, 4, 0)
    steps = (Step(1_000, "crash", (1,)), Step(1_400, "start", (1,)), Step(8_000, "compose", (0, 1, 2)))
    membership = drawn.knobs["membership"] | {"rebalance": True, "calm_ms": 100, "moves_per_s": 50.0}
    knobs = {"founders": 4, "newcomers": 0, "servers": 2, "membership": membership}
    return attrs.evolve(drawn, knobs=drawn.knobs | knobs, steps=steps)


def test_primary_and_heir_are_on_different_servers_again_when_a_node_is_back() -> None:
    outcome = perform(back(0))
    assert not outcome.rule, outcome
    assert outcome.totals["looked whether copies are apart"] > 10


def test_an_heir_on_its_primarys_server_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "_spread", lambda members: tuple(member.node for member in members))
    assert perform(back(0)).rule == "on one server"


# ---- receipts -----------------------------------------------------------------------------------------------


def in_haste(seed: int) -> Plan:
    """One user writes to another so fast that what is told of receipts grows before it is answered; then the sender's
    primary dies, with what it hasn't written down."""
    drawn = draw("cluster", 2, 3, 0)
    steps = [Step(500 + at * 8, "compose", (at, 1, 2)) for at in range(100)]
    steps.append(Step(800 + seed * 12, "crash", (2,)))
    mail = drawn.knobs["mail"] | {
        "flush_delay_ms": 200, "sync_delay_ms": 5, "window": 16, "pair_share": 16,
        "mailbox_messages_max": 100, "commit_messages_max": 100,
    }  # fmt: skip
    knobs = {**drawn.knobs, "founders": 3, "newcomers": 0, "mail": mail}
    return attrs.evolve(drawn, knobs=knobs, steps=tuple(sorted(steps, key=lambda step: step.at)))


def out_of_reach(seed: int) -> Plan:
    """What one user has sent is acknowledged while its phone comes and goes too fast to hear of it; then its primary
    dies, before the receipts are written down there."""
    drawn = draw("cluster", seed, 3, 0)
    steps = [Step(500 + at, "compose", (at, 1, 2)) for at in range(20)]
    steps += [Step(at, "part", (1,)) for at in range(530, 700, 3)]
    steps.append(Step(620 + seed * 10, "crash", (2,)))
    mail = drawn.knobs["mail"] | {
        "flush_delay_ms": 200, "sync_delay_ms": 5, "sync_first": True, "window": 16, "pair_share": 16,
        "mailbox_messages_max": 100, "commit_messages_max": 100,
    }  # fmt: skip
    knobs = {**drawn.knobs, "founders": 3, "newcomers": 0, "mail": mail}
    return attrs.evolve(drawn, knobs=knobs, steps=tuple(sorted(steps, key=lambda step: step.at)))


def apart(seed: int) -> Plan:
    """Everybody writes to everybody in two halves of a cluster, and nobody's phone stays where it is: receipts are told
    to either half, of messages that either half has."""
    drawn = draw("cluster", seed, 4, 0)
    hand = random.Random(seed)
    users = range(1, USERS + 1)
    steps = [Step(450 + at * 8, "compose", (at, hand.choice(users), hand.choice(users))) for at in range(60)]
    steps += [Step(at, "part", (hand.choice(users),)) for at in range(500, 1100, 7)]
    steps += [Step(560, "split", ((0, 1),)), Step(900 + hand.randint(0, 200), "heal", ())]
    mail = drawn.knobs["mail"] | {
        "flush_delay_ms": 50, "sync_delay_ms": 5, "sync_first": True, "window": 16, "pair_share": 16,
        "mailbox_messages_max": 100, "commit_messages_max": 100,
    }  # fmt: skip
    knobs = {**drawn.knobs, "founders": 4, "newcomers": 0, "servers": 6, "mail": mail}
    return attrs.evolve(drawn, knobs=knobs, steps=tuple(sorted(steps, key=lambda step: step.at)))


# ---- planted bugs -----------------------------------------------------------------------------------------


SOON = {"late in the calm", "unanswered", "progress"}
PLANTS = (
    Plant(
        "sends aren't kept until they are answered",
        keeping, "pass_on",
        "kept.sent = True", "_settle(state, line, kept.n, kept.n)",
        range(10), SOON,
    ),
    Plant(
        "a session with a lower login lets itself in",
        hosting, "_announced",
        "if (here is not None and here.login > remote.login) or"
        " (held is not None and held.login > remote.login):", "if False:",
        range(20), {"superseded by a lower login"},
    ),
    Plant(
        "marks of what is untold are forgotten at a change of claim",
        MailTables, "untold_in",
        "for table in (self.untold, self.telling)", "for table in (self.untold, self.untold)",
        range(20, 23), {"told in bound"},
    ),
    Plant(
        "receipts count as told before anybody said so",
        telling, "_tell",
        "state.out.append((effects.TELL", "over(state, telling) or state.out.append((effects.TELL",
        range(10), {"receipts"},
    ),
    Plant(
        "TOLD is taken as everything that was told since",
        telling, "told",
        "if telling.empty():", "if True:",
        range(11, 16), {"receipts"}, plan=in_haste,
    ),
    Plant(
        "what goes when two records meet isn't noted",
        Reconcile, "__call__",
        "for table, key in met:", "for table, key in ():",
        range(4, 40), {"receipts"}, plan=apart,
    ),
    Plant(
        "TOLD is said before it is durable",
        telling, "_take",
        "wait(owed, teller, news)", "_answer(state, owed, teller, news)",
        range(8), {"receipts"}, plan=out_of_reach,
    ),
    Plant(
        "who told before a partition was served is left to silence",
        routed, "tick",
        "if not (room and peer.untaken and peer.receipts) or peer.receipts_choked_at > before:", "if True:",
        range(20, 21), {"told in bound"},
    ),
    Plant(
        "what is kept isn't sent again over a new link",
        opening, "lost",
        "reopen(state, part)", "pass",
        range(3), SOON,
    ),
    Plant(
        "edges are turned away in silence",
        hosting, "cease",
        "turn_away(state, peer, p)", "peer.opened.discard(p)",
        range(5, 16), SOON,
    ),
    Plant(
        "all that is open is opened again and again",
        opening, "claimed",
        "if state.ways.primary_of(part.number) != part.target:", "if True:",
        range(4, 12), {"traffic"},
    ),
)  # fmt: skip


@pytest.mark.parametrize("bug", PLANTS, ids=lambda bug: bug.what.replace(" ", "-"))
def test_a_planted_bug_is_found(monkeypatch: pytest.MonkeyPatch, bug: Plant) -> None:
    bug.put(monkeypatch)
    assert bug.found() in bug.rules
