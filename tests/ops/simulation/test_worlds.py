"""The scaffolding, on a toy protocol: worlds do something, find what is wrong, and are the same each time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.command import app
from ops.simulation import running
from ops.simulation.command import simulate
from ops.simulation.plan import Plan, Step
from ops.simulation.shrinking import shorten
from ops.simulation.world import World
from tests.ops.simulation.toy import Twist

TOY = "tests.ops.simulation.toy"
ROOT = Path(__file__).resolve().parents[3]


def test_a_sound_protocol_breaks_nothing_and_suffers_everything() -> None:
    totals: dict[str, int] = {}
    for seed in range(60):
        outcome = running.perform(running.draw(f"{TOY}:Sound", seed, None, 150))
        assert not outcome.rule, (seed, outcome)
        for what, count in outcome.totals.items():
            totals[what] = totals.get(what, 0) + count
    kinds = (
        "crash start commit_fault pause resume cut mend split heal weather clear jump full roomy slow image"
    )
    for what in (
        *(f"fault {kind}" for kind in kinds.split()),
        "messages lost",
        "messages doubled",
        "messages held",
    ):
        assert totals.get(what, 0) > 0, what
    assert totals["settled"] > 0.3 * totals["writes"]


@pytest.mark.parametrize(
    ("bug", "rules"),
    [
        ("Early", {"ack before durable"}),
        ("Lossy", {"progress"}),
        ("Lazy", {"progress"}),
        ("Twist", {"key freshness"}),
    ],
)
def test_a_bug_is_found_and_its_history_is_short(bug: str, rules: set[str]) -> None:
    for seed in range(40):
        plan = running.draw(f"{TOY}:{bug}", seed, None, 80)
        outcome = running.perform(plan)
        if outcome.rule in rules:
            finding = running.shortest(plan, outcome)
            assert finding.shortest is not None
            assert len(finding.shortest.steps) <= 8
            assert running.perform(finding.shortest).rule == outcome.rule
            return
    pytest.fail("never found")


# ---- the same each time -----------------------------------------------------------------------------------

RUN = """
import sys
from ops.simulation import running
plan = running.draw(sys.argv[1], int(sys.argv[2]), None, int(sys.argv[3]))
print(running.perform(plan, digest=True).digest)
"""


def elsewhere(world: str, seed: int, hash_seed: str, steps: int = 120) -> str:
    """The digest of a run in another process."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, world, str(seed), str(steps)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_seed_is_one_run_in_every_process() -> None:
    plan = running.draw(f"{TOY}:Sound", 3, None, 120)
    first = running.perform(plan, digest=True).digest
    assert first == running.perform(plan, digest=True).digest
    assert {elsewhere(f"{TOY}:Sound", 3, hash_seed) for hash_seed in ("1", "2")} == {first}
    assert running.perform(running.draw(f"{TOY}:Sound", 4, None, 120), digest=True).digest != first


def test_a_plan_survives_being_written_down() -> None:
    plan = running.draw(f"{TOY}:Sound", 5, None, 60)
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert running.perform(again, digest=True) == running.perform(plan, digest=True)


def test_every_step_has_words() -> None:
    told = running.draw(f"{TOY}:Sound", 5, 3, 60).told()
    assert "60 steps" in told or "steps" in told
    assert str(Step(5, "split", ([0, 1],))) == "      5 ms  split (0 1)"


# ---- shortening -------------------------------------------------------------------------------------------


def numbered(count: int) -> Plan:
    return Plan("none", 0, 1, {}, tuple(Step(at, "x") for at in range(count)))


def test_shortening_keeps_what_is_needed_and_the_rule() -> None:
    def broken(plan: Plan) -> str:
        there = {step.at for step in plan.steps}
        if {7, 40} <= there:
            return "wanted"
        return "another" if 7 in there else ""

    found = shorten(numbered(64), "wanted", broken)
    assert [step.at for step in found.steps] == [7, 40]


def test_shortening_is_bounded() -> None:
    tries: list[int] = []

    def broken(plan: Plan) -> str:
        tries.append(len(plan.steps))
        return ""

    assert shorten(numbered(1_000), "wanted", broken, tries_max=50) == numbered(1_000)
    assert len(tries) == 50
    times = iter(range(1_000))
    shorten(numbered(1_000), "wanted", broken, seconds_max=20, clock=lambda: next(times))
    assert len(tries) < 50 + 25


# ---- the command ------------------------------------------------------------------------------------------


def test_the_command_tells_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(seeds="0:4", world=f"{TOY}:Sound", steps=50) == 0
    told = capsys.readouterr().out
    assert "4 seeds" in told
    assert "every promise held" in told
    assert "settled" in told


def test_the_command_prints_the_shortest_history(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    saved = tmp_path / "history"
    assert simulate(seeds="0:10", world=f"{TOY}:Early", steps=50, as_json=True, save=saved) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["broken"][0]["rule"] == "ack before durable"
    assert len(told["findings"][0]["history"]) < 10
    assert told["seeds_per_second"] > 0
    assert simulate(plan=saved, shrink=False) == 1
    assert "ack before durable" in capsys.readouterr().out


def test_one_seed_again_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    said = set()
    for _ in range(2):
        assert simulate(seed=3, world=f"{TOY}:Sound", steps=50) == 0
        said.add(capsys.readouterr().out.splitlines()[0])
    assert len(said) == 1
    assert simulate(seed=3, world=f"{TOY}:Sound", steps=50, trace=True) == 0
    assert " Commit " in capsys.readouterr().out


def test_several_processes_find_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for jobs in (1, 2):
        assert (
            simulate(seeds="0:20", world=f"{TOY}:Early", steps=40, jobs=jobs, shrink=False, as_json=True) == 1
        )
        told = json.loads(capsys.readouterr().out)
        found.append((told["broken"], told["totals"]))
    assert found[0] == found[1]


@pytest.mark.parametrize("wrong", [{"seeds": "5"}, {"seeds": "5:5"}, {"seeds": "a:b"}, {"world": "nothing"}])
def test_wrong_usage_is_told(wrong: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(**{"world": f"{TOY}:Sound", **wrong}) == 2
    assert capsys.readouterr().err.startswith("waystation: ")


def test_it_is_a_word_of_the_command() -> None:
    assert app["simulate"] is not None


def test_a_violation_that_the_code_swallows_counts() -> None:
    """Observers are called from inside a commit, where the store makes a result of every exception."""
    for seed in range(20):
        world = World(running.draw(f"{TOY}:Twist", seed, 2, 80), Twist)
        if world.run().rule == "key freshness":
            assert world.trace.broken is not None
            return
    pytest.fail("never found")
