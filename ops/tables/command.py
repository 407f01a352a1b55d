"""`waystation drill`: real processes of replicated tables while everything goes wrong that can, judged afterwards."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import attrs
import trio
from cyclopts import App, Parameter
from cyclopts.validators import Number

from ops.faults.disk import SmallDisk
from ops.faults.unavailable import UnavailableError
from ops.powerloss.build import ShimUnavailableError, build_shim
from ops.powerloss.journal import JournalError
from ops.tables.cables import Cables, Namespaces, Proxied
from ops.tables.drill import open_drill
from ops.tables.filling import fill
from ops.tables.handle import GoneError, MemberError
from ops.tables.plan import FULL, POWER, Kind, faults
from ops.tables.quiet import RestlessError

app = App(name="drill", help="Real processes of a cluster under faults, judged afterwards.")
app.command(
    "ops.systemd.drill:systemd",
    name="systemd",
    help="The service under a real systemd, apart from this machine's: started, upgraded, stuck, stopped.",
)

_FAILURES: Final = (MemberError, GoneError, RestlessError, JournalError, UnavailableError)
MEMBERS: Final = 3
Siege = Literal[
    "KILL",
    "PAUSE",
    "STOP",
    "UPGRADE",
    "SPLIT",
    "MOVE",
    "JOIN",
    "LEAVE",
    "REMOVE",
    "APPS",
    "RELEASE",
    "ROTATE",
]


@app.command
def tables(
    *,
    minutes: Annotated[float, Parameter(validator=Number(gt=0))] = 10.0,
    seed: int = 0,
    only: tuple[Kind, ...] = (),
    folder: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Three members with replicated tables under load: killed, stopped, cut off, deprived of power, put back in time.

    After each fault the copies must be equal, and everything that was settled must be there. Exit status: 0 if every
    promise held, 1 if not.

    Parameters
    ----------
    minutes:
        How long; the last fault is judged before it ends.
    seed:
        Decides load and faults.
    only:
        Faults to choose from; by default all that the machine can do.
    folder:
        Where records, logs and data are kept; by default a temporary one, kept only on failure.
    as_json:
        Print the result as JSON.
    """
    signal.signal(signal.SIGTERM, _end)
    place = Path(tempfile.mkdtemp(prefix="waystation-drill-")) if folder is None else folder
    place.mkdir(parents=True, exist_ok=True)
    result = trio.run(_tables, place, minutes, seed, only or tuple(Kind))
    keep = folder is not None or not result["good"]
    if keep:
        result["folder"] = str(place)
    else:
        shutil.rmtree(place)
    print(json.dumps(result, indent=1) if as_json else _as_text(result))
    return 0 if result["good"] else 1


@app.command
def filling(
    *,
    records: Annotated[int, Parameter(validator=Number(gte=1))] = 10_000_000,
    folder: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """A new copy of many records fills while they are written to: seconds, records a second, memory.

    Parameters
    ----------
    records:
        How many, of 150 bytes.
    folder:
        Where data is kept while it runs, about 500 bytes for each record; by default a temporary one.
    as_json:
        Print the result as JSON.
    """
    signal.signal(signal.SIGTERM, _end)
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="waystation-filling-", dir=folder) as place:
        figures = trio.run(fill, Path(place), records, tell)
    told = {**attrs.asdict(figures), "progress": len(figures.progress)}
    print(json.dumps(told, indent=1) if as_json else "\n".join(f"{k}: {v}" for k, v in told.items()))
    return 0


@app.command
def cluster(
    *,
    faults: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    seed: int = 0,
    rate: Annotated[float, Parameter(validator=Number(gt=0))] = 30.0,
    only: tuple[Siege, ...] = (),
    clusters: Annotated[int, Parameter(validator=Number(gte=1, lte=2))] = 1,
    folder: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Nodes with phones on each under load: killed, stopped, cut off, joined, removed, upgraded; mail is judged.

    Exit status: 0 if every promise held, 1 if not.

    Parameters
    ----------
    faults:
        How many are drawn beside a run's own steps: 12, of two clusters 4.
    seed:
        Decides load and faults.
    rate:
        Messages a second from the phones of each node.
    only:
        Faults of one cluster to choose from; by default all that the machine can do.
    clusters:
        1: three nodes. 2: two clusters of two; partitions go from one to the other, each is cut off, both ways and one
        way, nodes join, leave and are removed, and each is brought to another release and back.
    folder:
        Where histories, logs and data are kept; by default a temporary one, kept only on failure.
    as_json:
        Print the result as JSON.
    """
    from ops.faults import cluster as one
    from ops.faults import clusters as two
    from ops.faults import siege, trial

    signal.signal(signal.SIGTERM, _end)
    place = Path(tempfile.mkdtemp(prefix="waystation-drill-")) if folder is None else folder
    if clusters == 2:
        result = two.run(place / "run", seed, 4 if faults is None else faults, rate)
    else:
        kinds = [siege.Kind[kind] for kind in only]
        result = one.run(place / "run", seed, 12 if faults is None else faults, kinds, rate)
    keep = folder is not None or not result["good"]
    if keep:
        result["folder"] = str(place)
    else:
        shutil.rmtree(place)
    print(json.dumps(result, indent=1) if as_json else trial.as_text(result))
    return 0 if result["good"] else 1


def _end(number: int, frame: object) -> None:
    sys.exit(128 + number)


async def _tables(place: Path, minutes: float, seed: int, wanted: tuple[Kind, ...]) -> dict[str, Any]:
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", file=sys.stderr, flush=True)

    kinds = list(wanted)
    able: dict[str, Any] = {}
    try:
        if POWER & set(kinds):
            able["shim"] = build_shim(place / "shim")
    except ShimUnavailableError as error:
        tell(f"without power loss: {error}")
        kinds = [kind for kind in kinds if kind not in POWER]
    try:
        if FULL & set(kinds):
            with SmallDisk(place / "probe", 1 << 20):
                able["small"] = range(MEMBERS)
    except UnavailableError as error:
        tell(f"without full disks: {error}")
        kinds = [kind for kind in kinds if kind not in FULL]
    done: Counter[str] = Counter()
    result: dict[str, Any] = {"seed": seed, "failure": ""}
    async with open_drill(place / "run", seed=seed, cables=_cables(place, tell), tell=tell, **able) as drill:
        try:
            await drill.begin()
            for fault in faults(seed, kinds):
                if time.monotonic() - began >= minutes * 60:
                    break
                await drill.suffer(fault)
                done[fault.kind.value] += 1
        except _FAILURES as error:
            result["failure"] = f"{type(error).__name__}: {error}"
            tell(result["failure"])
        record = drill.record
        result |= {
            "seconds": round(time.monotonic() - began, 1),
            "faults": dict(done),
            "attempts": len(record.attempts),
            "settled_on_two": record.settled(2),
            "settled_on_one": record.settled(1),
            "unknown": sum(attempt.outcome == "unknown" for attempt in record.attempts),
            "excused_by_splits": len(drill.excused),
            "looks": drill.watcher.looks,
            "broken": [str(broken) for broken in drill.broken],
        }
    result["good"] = not result["broken"] and not result["failure"]
    return result


def _cables(place: Path, tell: Any) -> Cables:
    try:
        with Namespaces(MEMBERS):
            pass
    except UnavailableError as error:
        tell(f"links are cut by proxies: {error}")
        return Proxied(MEMBERS, place)
    return Namespaces(MEMBERS)


def _as_text(result: dict[str, Any]) -> str:
    faults_done = ", ".join(f"{kind} {count}" for kind, count in sorted(result["faults"].items()))
    lines = [
        f"{sum(result['faults'].values())} faults in {result['seconds']} s: {faults_done}",
        f"{result['attempts']} writes attempted, {result['settled_on_two']} settled on two copies,"
        f" {result['settled_on_one']} on one, {result['unknown']} unknown;"
        f" keys with another attempt of the same split: {result['excused_by_splits']}",
        *result["broken"],
    ]
    if result["failure"]:
        lines.append(f"FAILED: {result['failure']}")
    if "folder" in result:
        lines.append(f"record and logs: {result['folder']}")
    lines.append("every promise held" if result["good"] else f"NOT GOOD (seed {result['seed']})")
    return "\n".join(lines)
