"""A whole run of a cluster, as `waystation drill cluster` has it: a plan is suffered, then everything is judged.

Histories are judged by their checker; times by `judging`, if the machine had time for the nodes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ops.faults.judging import Machine, cost_of_cut, held_talk, long_holds, of_cut, waits
from ops.faults.lateness import Lateness
from ops.faults.siege import FAILURES, Fault, Kind, Siege
from ops.faults.standing import holds
from ops.faults.starvation import Starvation
from ops.faults.unavailable import UnavailableError
from ops.faults.waits import messages
from ops.tables.cables import Namespaces

CABLES: Final = frozenset({Kind.SPLIT, Kind.CUT, Kind.DEAF})
"""What wants a network of our own."""


def able(kinds: Sequence[Kind]) -> tuple[list[Kind], bool]:
    """Those that this machine can do, and whether networks can be split: a run says which it left out."""
    if not CABLES & set(kinds):
        return list(kinds), False
    try:
        with Namespaces(1):
            return list(kinds), True
    except UnavailableError:
        return [kind for kind in kinds if kind not in CABLES], False


def undergo(folder: Path, plan: Sequence[Fault], rate: float, *, seed: int, **options: Any) -> dict[str, Any]:
    """Suffer a plan. `options` are the siege's. What came of it, as plain data; `failure` says what is wrong."""
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", file=sys.stderr, flush=True)

    result: dict[str, Any] = {"seed": seed, "failure": "", "good": False}
    try:
        with Siege(folder, seed=seed, clients_move=True, tell=tell, **options) as siege:
            with Lateness() as lateness, Starvation(siege.pids) as starvation:
                siege.begin(rate)
                siege.suffer(plan)
                outcome = siege.conclude()
            told, wrong = _judge(siege, lateness, starvation)
            result |= told
    except FAILURES as error:
        return result | {"failure": f"{type(error).__name__}: {error}"}
    return result | {
        "failure": "; ".join(wrong),
        "good": outcome.report.good and outcome.rested and not wrong,
        "rested": outcome.rested,
        "faults": outcome.faults,
        "seconds": round(outcome.seconds, 1),
        "totals": dict(outcome.report.totals),
        "report": outcome.report.as_text(),
    }


def _judge(siege: Siege, lateness: Lateness, starvation: Starvation) -> tuple[dict[str, Any], list[str]]:
    busy = lateness.is_busy or starvation.is_starved
    machine = Machine(lateness.lost_s, time.time() - time.monotonic(), busy)
    logs = [(node.folder / "node.log").read_text() for node in siege.town.nodes if node.id]
    apart = {kind.name for kind in (Kind.PAUSE, *CABLES)}
    long = long_holds(logs, machine, [span for span in siege.spans if span.name in apart])
    sent = messages(siege.histories)
    waited = waits(sent, siege.spans, machine)
    cuts = [of_cut(sent, cut, machine) for cut in siege.cuts]
    told = {
        "standing": siege.standing,
        "holds": holds(logs),
        "holds_too_long_ms": long,
        "waits": waited,
        "cuts": cuts,
        "moves_followed": siege.moves,
        "late_turns": round(lateness.share, 3),
        "late_ms_most": round(1000 * lateness.most_s),
        "starved_share": round(starvation.share, 3),
        "times_judged": not busy,
    }
    wrong = []
    if long:
        wrong.append(
            f"{len(long)} partitions stood still for more than 500 ms while they were moved: {long[-1]}"
        )
    wrong += held_talk(waited)
    for cut in cuts:
        wrong += cost_of_cut(cut, waited["nothing"]["wait_ms_p99"])
    if busy:
        wrong = []
    if not siege.moves:
        wrong.append("no phone went to where it was told that its primary is")
    return told, wrong


def as_text(result: Mapping[str, Any]) -> str:
    """For a terminal."""
    lines = [f"{result.get('faults', 0)} faults in {result.get('seconds', 0)} s", result.get("report", "")]
    if "standing" in result:
        lines += _figures(result)
    if result.get("not_done"):
        lines.append(
            f"NOT DONE, for this machine gives no namespaces of a network: {', '.join(result['not_done'])}"
        )
    if result["failure"]:
        lines.append(f"FAILED: {result['failure']}")
    if not result.get("rested", True):
        lines.append("it never came to rest")
    if "folder" in result:
        lines.append(f"histories and logs: {result['folder']}")
    if not result["good"]:
        lines.append(f"NOT GOOD (seed {result['seed']})")
    return "\n".join(lines)


def _figures(result: Mapping[str, Any]) -> list[str]:
    lines = [
        "counted by the members: " + _row(result["standing"]),
        "partitions stood still: " + _row(result["holds"]),
        f"phones went to their primaries: {result['moves_followed']} times",
        "senders waited:",
    ]
    lines += [f"  {name}: {_row(found)}" for name, found in result["waits"].items()]
    for cut in result["cuts"]:
        lines.append(f"{cut['cluster']} was cut off for {cut['seconds']} s")
        lines += [f"  {name}: {_row(cut[name])}" for name in ("inside", "across")]
    lines.append(
        f"the machine: {result['late_turns']:.1%} of turns late, the latest by {result['late_ms_most']} ms;"
        f" of the time in which nodes had something to do, {result['starved_share']:.0%} without a processor"
    )
    if not result["times_judged"]:
        lines.append("times aren't judged: the machine was too busy with something else")
    return lines


def _row(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in found.items())
