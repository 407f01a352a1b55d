"""`waystation soak`: real processes under load and faults for as long as asked, judged by the history checker.

Two acts, each a drill of its own. *Faults*: the node is killed, stopped, stalled and deprived of power, disks fill up,
cables are cut, phones crash and lose power, in an order that the seed decides. *Memory*: one node's life under steady
load, clients crashing all the while, its memory sampled. This module must never judge the mail: the checker does.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

from attrs import frozen
from cyclopts import Parameter
from cyclopts.validators import Number

from ops.bench.node_process import NodeStartError
from ops.faults.child import ChildError
from ops.faults.crowd import CrowdError
from ops.faults.disk import SmallDisk
from ops.faults.drill import Drill, Outcome
from ops.faults.network import Network
from ops.faults.plan import Kind, make_plan
from ops.faults.stage import StageError
from ops.faults.unavailable import UnavailableError
from ops.powerloss.build import ShimUnavailableError, build_shim
from ops.powerloss.journal import JournalError

DISK_BYTES: Final = 512 << 20
SLOW_SYNC_MS: Final = 30
PAUSE_SECONDS: Final = 1.0
SAMPLE_SECONDS: Final = 1.0
TOLD_EVERY: Final = 10
GROWTH_MAX: Final = 4 << 20
"""Bytes that the heap may have grown from the second quarter of the run to the last."""
_FAILURES: Final = (NodeStartError, StageError, ChildError, CrowdError, JournalError, UnavailableError)


@frozen
class Memory:
    """What the node's memory did. Bytes; `heap` is anonymous memory, `resident` counts mapped files, too."""

    samples: int
    heap_second_quarter: int
    heap_last_quarter: int
    resident_max: int

    @property
    def growth(self) -> int:
        return self.heap_last_quarter - self.heap_second_quarter

    @property
    def is_flat(self) -> bool:
        return self.growth <= GROWTH_MAX


def soak(
    *,
    minutes: Annotated[float, Parameter(validator=Number(gte=0))] = 10.0,
    kills: Annotated[int, Parameter(validator=Number(gte=0))] = 20,
    seed: int = 0,
    rate: Annotated[float, Parameter(validator=Number(gt=0))] = 40.0,
    workers: Annotated[int, Parameter(validator=Number(gte=1, lte=256))] = 4,
    users_each: Annotated[int, Parameter(validator=Number(gte=1, lte=10_000))] = 4,
    folder: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Load a node, make everything go wrong that can, and check that no promise was broken.

    Exit status: 0 if every promise held and memory was flat, 1 if not.

    Parameters
    ----------
    minutes:
        How long memory is watched under steady load; 0 leaves it out.
    kills:
        How often the node is killed; other faults go with it, about three to every kill. 0 leaves all out.
    seed:
        Decides load and faults.
    rate:
        Messages a second that each worker process sends.
    workers:
        Processes of clients.
    users_each:
        Clients in each.
    folder:
        Where histories, logs and data are kept; by default a temporary one, kept only on failure.
    as_json:
        Print the result as JSON.
    """
    signal.signal(signal.SIGTERM, _end)  # a small disk that was mounted outlives a process that just ends
    place = Path(tempfile.mkdtemp(prefix="waystation-soak-")) if folder is None else folder
    place.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", file=sys.stderr, flush=True)

    shape: dict[str, Any] = {"seed": seed, "workers": workers, "users_each": users_each, "tell": tell}
    result: dict[str, Any] = {"seed": seed, "good": True}
    try:
        if kills > 0:
            outcome = _suffer(place / "faults", kills, rate, shape)
            result["faults"] = _told(outcome)
            result["good"] = _is_good(outcome)
        if minutes > 0:
            outcome, memory = _watch(place / "memory", minutes, rate, shape)
            result["memory"] = {**_told(outcome), **_memory_told(memory)}
            result["good"] = result["good"] and _is_good(outcome) and memory.is_flat
    except _FAILURES as error:
        result["good"] = False
        result["failure"] = f"{type(error).__name__}: {error}"
    keep = folder is not None or not result["good"]
    if keep:
        result["folder"] = str(place)
    else:
        shutil.rmtree(place)
    print(json.dumps(result, indent=1) if as_json else _as_text(result))
    return 0 if result["good"] else 1


def _end(number: int, frame: object) -> None:
    sys.exit(128 + number)


# ---- the two acts -----------------------------------------------------------------------------------------


def _suffer(folder: Path, kills: int, rate: float, shape: dict[str, Any]) -> Outcome:
    tell: Callable[[str], None] = shape["tell"]
    share = -(-kills // 4)
    wanted = {
        Kind.NODE_KILL: kills,
        Kind.NODE_PAUSE: share,
        Kind.NODE_STOP: share,
        Kind.CLIENT_KILL: 2 * share,
        Kind.CLIENT_PAUSE: share,
        Kind.NEW_DEVICES: share,
    }
    able: dict[str, Any] = {"settings": {"mail": _mail_settings(shape["seed"])}}
    try:
        able["shim"] = build_shim(folder.parent / "shim")
        able["phones_lose_power"] = True
        wanted[Kind.POWER_LOSS] = 2 * share
        wanted[Kind.CLIENT_POWER_LOSS] = share
    except ShimUnavailableError as error:
        tell(f"without power loss: {error}")
    try:
        with Network():
            able["network"] = True
            wanted[Kind.NETWORK_CUT] = share
    except UnavailableError as error:
        tell(f"without network cuts: {error}")
    try:
        with SmallDisk(folder.parent / "probe", 1 << 20):
            able["disk_bytes"] = DISK_BYTES
            wanted[Kind.DISK_FULL] = share
    except UnavailableError as error:
        tell(f"without full disks: {error}")
    tell(f"[mail] {able['settings']['mail']}")
    tell(f"faults: {', '.join(f'{kind.value} {count}' for kind, count in wanted.items())}")
    with Drill(folder, **shape, **able) as drill:
        drill.stage.sync_ms = SLOW_SYNC_MS if "shim" in able else 0
        drill.begin(rate)
        drill.suffer(make_plan(shape["seed"], wanted, PAUSE_SECONDS))
        tell("peace: everything is delivered")
        return drill.conclude()


def _mail_settings(seed: int) -> dict[str, Any]:
    """Knobs of [mail] for this seed: promises don't depend on them."""
    rng = random.Random(f"settings {seed}")
    window = rng.choice((2, 8, 64))
    return {
        "sync_first": rng.random() < 0.2,
        "sync_delay_ms": rng.choice((0, 10, 200)),
        "flush_delay_ms": rng.choice((10, 1_000, 3_000)),
        "window": window,
        "pair_share": max(1, window // rng.choice((1, 2))),
        "mailbox_messages_max": rng.choice((100, 20_000)),
        "full_retry_ms": 500,
        "pairs_cached_max": rng.choice((16, 100_000)),
    }


def _watch(folder: Path, minutes: float, rate: float, shape: dict[str, Any]) -> tuple[Outcome, Memory]:
    tell: Callable[[str], None] = shape["tell"]
    tell(f"memory: {minutes:g} minutes of steady load, clients crash and come back")
    with Drill(folder, **shape) as drill:
        drill.begin(rate)
        node = drill.stage.node
        end = time.monotonic() + minutes * 60
        heaps: list[int] = []
        resident_max = 0
        turn = 0
        while time.monotonic() < end:
            turn += 1
            time.sleep(SAMPLE_SECONDS)
            memory = node.memory()
            heaps.append(memory.anonymous)
            resident_max = max(resident_max, memory.rss)
            if turn % TOLD_EVERY == 0:
                tell(f"heap {memory.anonymous / 1e6:.1f} MB, resident {memory.rss / 1e6:.1f} MB")
                drill.suffer(make_plan(shape["seed"] + turn, {Kind.CLIENT_KILL: 1}, pause=0.1))
        outcome = drill.conclude()
    quarter = max(1, len(heaps) // 4)
    second, last = heaps[quarter : 2 * quarter] or heaps, heaps[-quarter:]
    return outcome, Memory(
        len(heaps), int(statistics.median(second)), int(statistics.median(last)), resident_max
    )


# ---- telling ----------------------------------------------------------------------------------------------


def _is_good(outcome: Outcome) -> bool:
    # on one node nothing has a reason to be late
    return outcome.report.good and outcome.rested and not outcome.report.totals["late"]


def _told(outcome: Outcome) -> dict[str, Any]:
    totals = outcome.report.totals
    return {
        "good": _is_good(outcome),
        "seconds": round(outcome.seconds, 1),
        "faults": outcome.faults,
        "came_to_rest": outcome.rested,
        "rules_broken": outcome.report.rules,
        "messages_per_second": round(totals["handed"] / outcome.seconds, 1),
        **totals,
        "report": outcome.report.as_text() if not outcome.report.good else "",
    }


def _memory_told(memory: Memory) -> dict[str, Any]:
    return {
        "heap_second_quarter_bytes": memory.heap_second_quarter,
        "heap_last_quarter_bytes": memory.heap_last_quarter,
        "heap_growth_bytes": memory.growth,
        "heap_flat": memory.is_flat,
        "resident_max_bytes": memory.resident_max,
        "samples": memory.samples,
    }


def _as_text(result: dict[str, Any]) -> str:
    lines = []
    for act in ("faults", "memory"):
        told = result.get(act)
        if told is None:
            continue
        lines.append(
            f"{act}: {told['faults']} faults in {told['seconds']} s, {told['handed']} messages handed over,"
            f" {told['accepted']} accepted, broken: {told['rules_broken'] or 'nothing'}"
        )
        if told["report"]:
            lines.append(told["report"])
        if "heap_growth_bytes" in told:
            before, after, most = (
                f"{told[f'{name}_bytes'] / 1e6:.1f}"
                for name in ("heap_second_quarter", "heap_last_quarter", "resident_max")
            )
            verdict = "flat" if told["heap_flat"] else "GROWING"
            lines.append(f"heap {before} → {after} MB, {verdict}; at most {most} MB resident")
    if "failure" in result:
        lines.append(f"FAILED: {result['failure']}")
    if "folder" in result:
        lines.append(f"histories and logs: {result['folder']}")
    lines.append("every promise held" if result["good"] else f"NOT GOOD (seed {result['seed']})")
    return "\n".join(lines)
