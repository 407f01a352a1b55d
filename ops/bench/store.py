"""`bench store`: what a row costs in the store: µs of CPU on the loop and on the committer, bytes, rows a second.

The rows are those of mail: messages that are put once and deleted, pairs that are overwritten, each with its entry
in `changes`; and those of a replicated table: overwritten while the commits are tapped, and what was tapped applied in
a second store, as an heir does. `--busy` keeps the loop busy while it waits, as a hub under load is: then the two
threads compete for the interpreter, which is what a real node sees.
"""

import os
import random
import select
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from attrs import frozen
from cyclopts import App, Parameter
from cyclopts.validators import Number

from ops.bench.places import Directory
from ops.bench.screen import Screen, print_result
from store import keys
from store.results import Result
from store.schema import Group, Table
from store.store import Store
from store.tapping import Tapped
from store.writes import DELETE, PUT

app = App(name="store", help="Measure the store alone: rows put, overwritten, deleted, tapped and applied.")

PARTITIONS: Final = 1024
IN_FLIGHT: Final = 4
"""Submits that wait at one time; further ones are made as results come."""

FILL_ROWS: Final = 5_000
"""Rows of a submit that fills a replicated table."""

_GROUP: Final = Group("mail", (Table("message", insert_only=True), Table("pair")))
_REPLICATED: Final = Group("mail", (Table("row", tombstones=True, partitioned=False),))
_STREAM: Final = bytes(range(8))
_USER: Final = 15_551_230_000
_SWITCH_SECONDS: Final = 0.0005
"""What a node sets, so that a thread waits less for the interpreter."""


@frozen
class Plan:
    """How much to do."""

    rows: int
    body: int
    users: int
    busy: bool
    live: int = 100_000


class Loop:
    """The loop's part: submits, waits for results on the eventfd, and does other work if it is to be busy."""

    def __init__(self, store: Store, *, busy: bool) -> None:
        self.store = store
        self.group = store.group("mail")
        self.poll = select.epoll()
        self.poll.register(store.eventfd, select.EPOLLIN)
        self.pipe = os.pipe()
        self.waiting = 0
        self.passes = 0
        self.busy = busy

    def submit(self, writes: Sequence[Any]) -> None:
        self.waiting += 1
        self.group.submit(writes, self._done)

    def apply(self, tapped: Sequence[Tapped]) -> None:
        for commit in tapped:
            self.waiting += 1
            self.group.submit_parts([part[:3] for part in commit.parts], [], self._done, trusted=True)

    def wait(self, below: int) -> None:
        while self.waiting >= below:
            if self.busy:
                self._other_work()
            if self.poll.poll(0 if self.busy else -1):
                self.store.deliver_results()

    def _done(self, result: Result) -> None:
        if result.error is not None:
            raise result.error
        self.waiting -= 1

    def _other_work(self) -> None:
        # About what a hub does for one ready socket: a read, some computing, a write.
        os.write(self.pipe[1], b"x" * 100)
        found = os.read(self.pipe[0], 4096)
        for n in range(150):
            found = found[1:] + bytes((n & 255,))
        self.passes += 1

    def close(self) -> None:
        self.poll.close()
        for descriptor in self.pipe:
            os.close(descriptor)


def measure(plan: Plan, batch: int, directory: Path | None) -> dict[str, Any]:
    """Puts, overwrites and deletes of `plan.rows` rows, `batch` to a submit, in a store of their own."""
    path = Path(tempfile.mkdtemp(prefix="waystation-bench-", dir=directory))
    chance = random.Random(7)
    prefixes = [
        keys.encode((chance.randrange(PARTITIONS), _USER + n, _USER + chance.randrange(plan.users), _STREAM))
        for n in range(plan.users)
    ]
    messages = [chance.choice(prefixes) + keys.encode((n + 1,)) for n in range(plan.rows)]
    body = random.Random(8).randbytes(plan.body)
    try:
        with Store.open(path / "store", [_GROUP]) as store:
            loop = Loop(store, busy=plan.busy)
            message, pair = loop.group.table("message").id, loop.group.table("pair").id
            row = (1_798_761_600_000, body)
            some = [chance.choice(prefixes) for _ in range(plan.rows)]
            _run(loop, [(PUT, pair, prefix, [1, [], [], 0, 0]) for prefix in prefixes], 1_000)
            result: dict[str, Any] = {
                "put": _run(loop, [(PUT, message, key, row) for key in messages], batch),
                "overwrite": _run(
                    loop, [(PUT, pair, key, [n, [1, n], [], 0, 20_000]) for n, key in enumerate(some)], batch
                ),
            }
            used = store.group("mail").state.environment.file_bytes()
            chance.shuffle(messages)
            result["delete"] = _run(loop, [(DELETE, message, key) for key in messages], batch)
            result["bytes_per_row"] = used / (plan.rows + plan.users)
            loop.close()
        return result
    finally:
        shutil.rmtree(path)


def measure_replicated(plan: Plan, batch: int, directory: Path | None) -> dict[str, Any]:
    """Overwrites of a table of `plan.live` rows with a tap on, and the tapped commits applied to a copy of it."""
    path = Path(tempfile.mkdtemp(prefix="waystation-bench-", dir=directory))
    chance = random.Random(7)
    value = random.Random(8).randbytes(plan.body)
    try:
        with Store.open(path / "primary", [_REPLICATED]) as store:
            loop = Loop(store, busy=plan.busy)
            row = loop.group.table("row").id
            order = chance.sample(range(plan.live), plan.live)
            tapped: list[Tapped] = []
            loop.group.tap = tapped.append
            filled = _run(loop, [(PUT, row, (n,), value) for n in order], FILL_ROWS)
            fill, tapped[:] = list(tapped), ()
            some = [(PUT, row, (chance.randrange(plan.live),), value) for _ in range(plan.rows)]
            overwritten = _run(loop, some, batch)
            loop.close()
        with Store.open(path / "heir", [_REPLICATED]) as store:
            loop = Loop(store, busy=plan.busy)
            _run(loop, fill, 1, loop.apply)
            applied = _run(loop, tapped, 1, loop.apply, rows=plan.rows)
            loop.close()
        return {"tapped_fill": filled, "tapped_overwrite": overwritten, "apply": applied}
    finally:
        shutil.rmtree(path)


def _run(
    loop: Loop,
    work: Sequence[Any],
    batch: int,
    submit: Callable[[Sequence[Any]], None] | None = None,
    *,
    rows: int = 0,
) -> dict[str, Any]:
    committer = next(thread for thread in threading.enumerate() if thread.name == "commit mail")
    clock = time.pthread_getcpuclockid(committer.ident or 0)
    group = loop.group
    before = group.statistics()
    wall, mine, theirs = time.perf_counter(), time.thread_time(), time.clock_gettime(clock)
    written = _written_bytes()
    passes = loop.passes
    submit = submit or loop.submit
    for start in range(0, len(work), batch):
        loop.wait(IN_FLIGHT)
        submit(work[start : start + batch])
    loop.wait(1)
    rows = rows or len(work)
    wall = time.perf_counter() - wall
    commits = group.statistics()["commits"] - before["commits"]
    return {
        "rows_per_s": rows / wall,
        "loop_cpu_us": (time.thread_time() - mine) / rows * 1e6,
        "committer_cpu_us": (time.clock_gettime(clock) - theirs) / rows * 1e6,
        "rows_per_commit": rows / commits,
        "written_bytes_per_row": (_written_bytes() - written) / rows,
        "write_amplification": (_written_bytes() - written) / sum(map(_logical_bytes, work)),
        "passes_per_s": (loop.passes - passes) / wall,
    }


def _logical_bytes(work: Any) -> int:
    if isinstance(work, Tapped):
        return sum(len(part.blob) for part in work.parts)
    value = work[3] if work[0] == PUT else None
    body = value[1] if isinstance(value, tuple) else value
    return (
        40
        + (len(work[2]) if isinstance(work[2], bytes) else 4)
        + (len(body) if isinstance(body, bytes) else 0)
    )


def _written_bytes() -> int:
    # Of what was handed to write calls, not `write_bytes`: that counts whole folios of the page cache, of which ext4
    # sends only the changed blocks to the disk (compared with /sys/block/*/stat: equal to 1 %).
    for line in Path("/proc/self/io").read_text().splitlines():
        name, value = line.split(": ")
        if name == "wchar":
            return int(value)
    return 0


@app.default
def command(
    *,
    rows: Annotated[int, Parameter(validator=Number(gte=1), help="Rows of each phase.")] = 20_000,
    batch: Annotated[tuple[int, ...], Parameter(validator=Number(gte=1), help="Rows of one submit.")] = (
        1,
        10,
        100,
        1000,
    ),
    body: Annotated[int, Parameter(validator=Number(gte=0), help="Bytes of a message's body.")] = 120,
    users: Annotated[int, Parameter(validator=Number(gte=1), help="Users, each with one pair.")] = 20_000,
    live: Annotated[
        int, Parameter(validator=Number(gte=1), help="Rows of the replicated table that are overwritten.")
    ] = 100_000,
    busy: Annotated[bool, Parameter(negative="", help="Keep the loop busy meanwhile.")] = False,
    directory: Directory = None,
    as_json: Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")] = False,
) -> None:
    """Put, overwrite, delete, tap and apply rows in submits of several sizes."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    screen = Screen()
    result: dict[str, Any] = {"rows": rows, "body": body, "users": users, "live": live, "busy": busy}
    with screen.phase("store", len(batch)) as phase:
        for done, size in enumerate(batch):
            phase.show(done, f"{size} rows a submit")
            # Few rows a submit means many fsyncs: fewer rows in all, for about the same time.
            fewer = Plan(min(rows, size * 2_000), body, users, busy, live)
            result[f"batch_{size}"] = {
                **measure(fewer, size, directory),
                **measure_replicated(fewer, size, directory),
            }
    print_result(result, as_json=as_json)


if __name__ == "__main__":
    sys.exit(app())
