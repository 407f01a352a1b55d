"""In the world of a cluster a process that ended is found as such, and nothing else is; who finds more is caught."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from ops.simulation import replicas
from ops.simulation.cluster.changing import Changing
from ops.simulation.cluster.drawing import ENDED_MS, ENDS_FROM, USERS
from ops.simulation.plan import Plan, Step
from ops.simulation.running import draw, perform
from replication import ending

CRASH = (Step(1_000, "crash", (1,)), Step(1_400, "start", (1,)))
PAUSE = (Step(1_000, "pause", (1,)), Step(1_400, "resume", (1,)))
CUT = (Step(1_000, "split", ([1],)), Step(1_400, "heal", ()))
FILTER = (Step(1_000, "filter", (0, 1)), Step(1_400, "unfilter", (0, 1)))


def talking(*steps: Step, nodes: int = 3) -> Plan:
    """Phones of a few users talk, and this happens."""
    drawn = draw("cluster", 0, nodes, 0)
    said = [Step(at * 100, "compose", (at, at % USERS + 1, (at + 3) % USERS + 1)) for at in range(14)]
    detector = replicas.detector() | {"ended_ms": ENDED_MS}
    knobs = {**drawn.knobs, "founders": nodes, "newcomers": 0, "ends": True, "detector": detector}
    return attrs.evolve(drawn, knobs=knobs, steps=tuple(sorted((*said, *steps), key=lambda step: step.at)))


def linked(labels: tuple[str, ...], *steps: Step) -> Plan:
    """The same in several clusters that know one another: of each node its label."""
    plan = talking(*steps, nodes=len(labels))
    drawn = draw("clusters", 0, len(labels), 0)
    knobs = {
        **drawn.knobs,
        **{name: plan.knobs[name] for name in ("founders", "newcomers", "ends", "detector")},
    }
    return attrs.evolve(drawn, knobs=knobs | {"labels": labels}, steps=plan.steps)


def later(ms: int, *steps: Step) -> tuple[Step, ...]:
    """The same then."""
    return tuple(attrs.evolve(step, at=step.at + ms) for step in steps)


def test_only_an_end_is_taken_for_one() -> None:
    outcome = perform(talking(*PAUSE, *later(700, *CUT), *later(1_400, *FILTER), *later(2_100, *CRASH)))
    assert not outcome.rule, outcome
    assert outcome.totals["called ended"] == 2, "the crash, by both others"


def test_two_behind_filters_believe_the_one_who_was_let_in() -> None:
    steps = (*FILTER, Step(1_000, "filter", (3, 1)), Step(1_400, "unfilter", (3, 1)))
    outcome = perform(talking(*steps, nodes=4))
    assert not outcome.rule, outcome
    assert not outcome.totals["called ended"]


def test_of_two_nodes_one_may_be_deceived_by_a_filter_and_nothing_is_lost() -> None:
    outcome = perform(talking(*FILTER, nodes=2))
    assert not outcome.rule, outcome
    assert outcome.totals["called ended"] == 1


def test_only_members_of_its_own_cluster_can_tell_of_an_end() -> None:
    three, two = ("north", "north", "north", "south"), ("north", "north", "south", "south")
    outcome = perform(linked(three, *PAUSE, *later(700, *CUT), *later(1_400, *FILTER), *later(2_100, *CRASH)))
    assert not outcome.rule, outcome
    assert outcome.totals["called ended"] >= 2, "the crash, by both others of its cluster"
    outcome = perform(linked(two, *FILTER))
    assert not outcome.rule, outcome
    assert outcome.totals["called ended"] >= 1, "of two nodes one is deceived, whoever else is linked"


def test_drawn_worlds_have_all_of_it() -> None:
    plans = [draw("cluster", ENDS_FROM + seed, None, 40) for seed in range(20)]
    assert any(plan.knobs.get("ends") for plan in plans)
    assert any(step.kind == "filter" for plan in plans for step in plan.steps)
    assert not any(draw("cluster", seed, None, 40).knobs.get("ends") for seed in range(20))


def test_a_pause_that_is_taken_for_an_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    refuses = Changing.refuses

    def or_stands_still(self: Changing, node: int, peer: int) -> bool | None:
        return self.world.machines[peer].paused or refuses(self, node, peer)

    monkeypatch.setattr(Changing, "refuses", or_stands_still)
    assert perform(talking(*PAUSE)).rule == "buried alive"


def test_a_cut_that_is_taken_for_an_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    refuses = Changing.refuses
    monkeypatch.setattr(Changing, "refuses", lambda *which: refuses(*which) is not False)
    assert perform(talking(*CUT)).rule == "buried alive"


def test_one_who_asks_nobody_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def sure_of_itself(state: Any, name: bytes, peer: Any, refusal: Any, *_: Any) -> None:
        refusal.certain = True

    monkeypatch.setattr(ending, "_ask", sure_of_itself)
    assert perform(talking(*FILTER)).rule == "buried alive"
    assert perform(linked(("north", "north", "north", "south"), *FILTER)).rule == "buried alive"
