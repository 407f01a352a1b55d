"""`bench cold`: a store larger than memory must not stall the loop.

A store several times larger than the memory that a process may use is read at random, at a fixed rate, while the
process also keeps a tick of 1 ms and writes a little. Once reads run on the loop, once on the reader thread. What is
measured is how late the ticks are.
"""

import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import attrs
from attrs import frozen
from cyclopts import App, Parameter
from cyclopts.validators import Number

from ops.bench.confined import Confinement, confined
from ops.bench.places import Directory
from ops.bench.screen import Screen, print_result
from store.limits import StoreSettings
from store.results import Result
from store.schema import Group, Table
from store.store import Store
from store.writes import PUT

app = App(name="cold", help="Measure how a store larger than memory holds up the loop.")

_GROUPS: Final = (Group("mail", (Table("message", insert_only=True),)),)
_TICK_SECONDS: Final = 0.001
_VALUE_BYTES: Final = 1_000
_MIB: Final = 1 << 20
_FILL_ROWS: Final = 5_000


@frozen
class Plan:
    """What one measured process does."""

    path: str
    rows: int
    reads_per_s: int
    seconds: float
    folders: tuple[str, ...]
    how: Literal["direct", "threaded"]


def fill(path: Path, size: int, screen: Screen) -> int:
    """Write a store of about `size` bytes; gives its rows. Nothing of it stays in the page cache."""
    rows = size // (_VALUE_BYTES * 5 // 4)
    with Store.open(path, _GROUPS, committer="inline") as store, screen.phase("fill", rows) as phase:
        group = store.group("mail")
        for start in range(0, rows, _FILL_ROWS):
            writes = [
                (PUT, 0, (n % 1024, n), n.to_bytes(4, "big") * (_VALUE_BYTES // 4))
                for n in range(start, min(rows, start + _FILL_ROWS))
            ]
            group.submit(writes, lambda result: None)
            store.deliver_results()
            phase.show(start)
    with (path / "mail" / "data.mdb").open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return rows


def measure(plan: Plan) -> dict[str, Any]:
    """Runs in a process of its own, which enters the group first."""
    Confinement(tuple(map(Path, plan.folders)), memory=True, disk=True).enter()
    sys.setswitchinterval(0.0005)
    warm = 1 << 40 if plan.how == "direct" else 1
    with Store.open(plan.path, _GROUPS, settings=attrs.evolve(StoreSettings(), warm_bytes=warm)) as store:
        return _Measured(store, plan).run()


class _Measured:
    def __init__(self, store: Store, plan: Plan) -> None:
        self.store = store
        self.plan = plan
        self.group = store.group("mail")
        self.chance = random.Random(5)
        self.lags: list[float] = []
        self.reads = 0
        self.busy = 0
        self.writes = 0
        self.took: list[float] = []

    def run(self) -> dict[str, Any]:
        poll = select.epoll()
        poll.register(self.store.eventfd, select.EPOLLIN)
        began = due = asked = time.perf_counter()
        wanted = 0.0
        while (now := time.perf_counter()) < began + self.plan.seconds:
            if now < due:
                if poll.poll(max(0.0, due - now)):
                    self.store.deliver_results()
                continue
            self.lags.append(now - due)
            # A long stall counts as 50 late ticks at most.
            due = max(due + _TICK_SECONDS, now - _TICK_SECONDS * 50)
            wanted += (now - asked) * self.plan.reads_per_s
            asked = now
            while wanted >= 1:
                wanted -= 1
                self._read()
            if len(self.lags) % 20 == 0:
                self._write()
            self.store.deliver_results()
        poll.close()
        return self._result(time.perf_counter() - began)

    def _read(self) -> None:
        n = self.chance.randrange(self.plan.rows)
        key = (n % 1024, n)
        began = time.perf_counter()

        def done(result: Result) -> None:
            assert result.value == n.to_bytes(4, "big") * (_VALUE_BYTES // 4)
            self.reads += 1
            self.took.append(time.perf_counter() - began)

        if self.group.statistics()["cold_reads_waiting"] < 100:
            self.group.read(lambda reader: reader.get("message", key), done)
        else:
            self.busy += 1

    def _write(self) -> None:
        def done(result: Result) -> None:
            if result.error is not None:
                raise result.error
            self.writes += 1

        n = self.plan.rows + len(self.lags)
        self.group.submit([(PUT, 0, (n % 1024, n), b"new")], done)

    def _result(self, seconds: float) -> dict[str, Any]:
        lags, took = sorted(self.lags), sorted(self.took) or [0.0]
        return {
            "lag_ms_p50": lags[len(lags) // 2] * 1e3,
            "lag_ms_p99": lags[len(lags) * 99 // 100] * 1e3,
            "lag_ms_max": lags[-1] * 1e3,
            "ticks_late_by_10_ms": sum(lag > 0.010 for lag in lags) / len(lags),
            "reads_per_s": self.reads / seconds,
            "read_ms_p50": took[len(took) // 2] * 1e3,
            "read_ms_p99": took[len(took) * 99 // 100] * 1e3,
            "reads_refused_per_s": self.busy / seconds,
            "writes_per_s": self.writes / seconds,
            "major_faults": _major_faults(),
        }


def _major_faults() -> int:
    return int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[9])


@app.default
def command(
    *,
    memory_mib: Annotated[
        int, Parameter(validator=Number(gte=16), help="Memory that the process may use, page cache included.")
    ] = 64,
    store_mib: Annotated[int, Parameter(validator=Number(gte=1), help="Size of the store.")] = 256,
    reads_per_s: Annotated[int, Parameter(validator=Number(gte=1), help="Random reads asked for.")] = 400,
    read_iops: Annotated[
        int, Parameter(validator=Number(gte=0), help="Reads a second that the disk is slowed to; 0: not.")
    ] = 500,
    seconds: Annotated[float, Parameter(validator=Number(gt=0), help="Measured, each way.")] = 5,
    directory: Directory = None,
    as_json: Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")] = False,
) -> None:
    """How late the loop's ticks are while a store larger than memory is read on the loop, and on the reader thread."""
    screen = Screen()
    folder = Path(tempfile.mkdtemp(prefix="waystation-bench-", dir=directory))
    try:
        path = folder / "store"
        rows = fill(path, store_mib * _MIB, screen)
        result: dict[str, Any] = {
            "memory_mib": memory_mib,
            "store_mib": (path / "mail" / "data.mdb").stat().st_size // _MIB,
            "read_iops": read_iops,
        }
        with confined(memory_mib * _MIB, read_iops, folder) as group, screen.phase("read", 2) as phase:
            result |= {"memory_limited": group.memory, "disk_slowed": group.disk}
            if not group.memory:
                screen.warn(
                    "no cgroup to limit memory with: reads are cold only because the cache was emptied"
                )
            for done, how in enumerate(("direct", "threaded")):
                phase.show(done, how)
                _forget(path)
                plan = Plan(str(path), rows, reads_per_s, seconds, tuple(map(str, group.folders)), how)  # type: ignore[arg-type]
                result[how] = _in_process(plan)
        print_result(result, as_json=as_json)
    finally:
        shutil.rmtree(folder)


def _forget(path: Path) -> None:
    with (path / "mail" / "data.mdb").open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _in_process(plan: Plan) -> dict[str, Any]:
    code = "import json, sys; from ops.bench.cold import Plan, measure; "
    code += "print(json.dumps(measure(Plan(**json.loads(sys.argv[1])))))"
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(attrs.asdict(plan))],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


if __name__ == "__main__":
    sys.exit(app())
