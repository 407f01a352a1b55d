"""`waystation simulate`: worlds by seed, and the shortest history of what breaks a promise in one of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ops.simulation.plan import Plan
from ops.simulation.running import Finding, Tally, draw, findings, outcomes, shortest
from ops.simulation.scenarios import SCENARIOS, scenario
from ops.simulation.world import World


class WrongUsageError(Exception):
    """What was asked for makes no sense."""


def simulate(
    *,
    seeds: str = "0:300",
    seed: int | None = None,
    plan: Path | None = None,
    nodes: Annotated[int | None, Parameter(validator=Number(gte=1, lte=9))] = None,
    steps: Annotated[int, Parameter(validator=Number(gte=1, lte=100_000))] = 400,
    world: Annotated[str, Parameter(name=("--world", "--scenario"))] = "tables",
    jobs: Annotated[int, Parameter(validator=Number(gte=1, lte=256))] = 1,
    shrink: bool = True,
    trace: Annotated[bool, Parameter(negative="")] = False,
    save: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Run the real cores of several nodes on a virtual network, disk and clock, and check the promises.

    Exit status: 0 if every promise held, 1 if not, 2 if the command makes no sense.

    Parameters
    ----------
    seeds:
        First and end, such as 0:1000.
    seed:
        Run this one alone again, exactly, and print the digest of all that happened.
    plan:
        Run a history that was saved, instead of drawing one from a seed.
    nodes:
        Nodes in each world; by default the seed decides.
    steps:
        What is done to each world.
    world:
        What the nodes do: tables, mail, cluster, clusters.
    jobs:
        Processes.
    shrink:
        Look for the shortest history that breaks the same promise.
    trace:
        With --seed or --plan: print every event.
    save:
        Write the (shortest) history of the first violation here, for --plan.
    as_json:
        Print the result as JSON.
    """
    try:
        if plan is not None:
            return _one(_read(plan), shrink=shrink, trace=trace, save=save, as_json=as_json)
        scenario(world)
        if seed is not None:
            drawn = draw(world, seed, nodes, steps)
            return _one(drawn, shrink=shrink, trace=trace, save=save, as_json=as_json)
        chosen = _range(seeds)
    except KeyError:
        return _wrong(f"there is no world {world!r}: choose one of {', '.join(SCENARIOS)}")
    except WrongUsageError as error:
        return _wrong(str(error))
    tally = Tally()
    with _progress(as_json) as bar:
        task = bar.add_task(world, total=len(chosen))
        for outcome in outcomes(world, chosen, nodes, steps, jobs):
            tally.add(outcome)
            bar.update(task, advance=1, rate=f"{tally.seeds_per_second:.1f}", broken=len(tally.broken))
    found = findings(tally, world, nodes, steps, shrink=shrink)
    _save(found, save)
    print(json.dumps(_as_json(tally, found, world)) if as_json else _as_text(tally, found))
    return 1 if tally.broken else 0


def _one(plan: Plan, *, shrink: bool, trace: bool, save: Path | None, as_json: bool) -> int:
    played = World(plan, scenario(plan.world), digest=True, keep=trace)
    tally = Tally()
    outcome = played.run()
    tally.add(outcome)
    for at, event in played.trace.kept or ():
        print(f"{at:7d} ms  {type(event).__name__} {' '.join(map(repr, event))}")
    found: list[Finding] = []
    if outcome.rule:
        found = [_finding(plan, tally, shrink=shrink)]
    _save(found, save)
    if as_json:
        print(json.dumps({**_as_json(tally, found, plan.world), "seed": plan.seed, "digest": outcome.digest}))
    else:
        print(f"digest {outcome.digest}\n{_as_text(tally, found)}")
    return 1 if outcome.rule else 0


def _finding(plan: Plan, tally: Tally, *, shrink: bool) -> Finding:
    outcome = tally.broken[0]
    return shortest(plan, outcome) if shrink else Finding(outcome, plan, None, outcome.words)


def _range(seeds: str) -> range:
    first, colon, end = seeds.partition(":")
    try:
        found = range(int(first), int(end))
    except ValueError:
        found = range(0)
    if not colon or not found:
        raise WrongUsageError(f"--seeds {seeds}: give first and end, such as 0:1000")
    return found


def _read(path: Path) -> Plan:
    try:
        return Plan.from_json(path.read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WrongUsageError(f"{path} holds no history: {error}") from None


def _save(found: Any, path: Path | None) -> None:
    if path is not None and found:
        path.write_text((found[0].shortest or found[0].plan).to_json() + "\n")


def _wrong(words: str) -> int:
    sys.stderr.write(f"waystation: {words}\n")
    return 2


def _progress(as_json: bool) -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} seeds/s, {task.fields[broken]} broken"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=as_json or not console.is_terminal,
    )


def _as_json(tally: Tally, found: Any, world: str) -> dict[str, Any]:
    return {
        "world": world,
        "seeds": tally.seeds,
        "seeds_per_second": round(tally.seeds_per_second, 1),
        "broken": [
            {"seed": outcome.seed, "rule": outcome.rule, "words": outcome.words} for outcome in tally.broken
        ],
        "findings": [
            {
                "seed": finding.outcome.seed,
                "rule": finding.outcome.rule,
                "words": finding.words,
                "history": str((finding.shortest or finding.plan).told()).splitlines(),
            }
            for finding in found
        ],
        "totals": dict(sorted(tally.totals.items())),
    }


def _as_text(tally: Tally, found: Any) -> str:
    lines = []
    for finding in found:
        lines.append(f"seed {finding.outcome.seed}: {finding.outcome.rule}\n  {finding.words}")
        if finding.shortest is not None:
            lines.append(f"shortest history found:\n{finding.shortest.told()}")
    counts: dict[str, list[int]] = {}
    for outcome in tally.broken:
        counts.setdefault(outcome.rule, []).append(outcome.seed)
    lines += [
        f"{len(those)} × {rule}, seeds {' '.join(map(str, those[:10]))}" for rule, those in counts.items()
    ]
    lines.append(", ".join(f"{what} {count}" for what, count in sorted(tally.totals.items())))
    lines.append(
        f"{tally.seeds} seeds, {tally.seeds_per_second:.1f} a second, "
        + (f"{len(tally.broken)} BROKEN" if tally.broken else "every promise held")
    )
    return "\n".join(lines)
