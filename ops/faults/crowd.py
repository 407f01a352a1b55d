"""The good clients of a run: worker processes that are started, killed, paused, and asked how they are.

It must never know what a fault is for, nor judge what the workers say.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from attrs import define, field

from ops.faults.child import Child, ChildError
from ops.faults.worker import Assignment
from ops.history.writer import HistoryWriter
from ops.powerloss.image import Cut
from ops.powerloss.watch import WatchedDirectory

FIRST_NUMBER: Final = 15_550_100_001
QUIET_SECONDS: Final = 1.5
STOP_SECONDS_MAX: Final = 120.0
ASK_SECONDS_MAX: Final = 60.0
"""Of a machine that others keep busy, or that stands still meanwhile."""


class CrowdError(Exception):
    """The clients did not get where they should. The text says how they are."""


@define
class Worker:
    """One place for a process. Its users keep their states over its lives."""

    name: str
    users: list[int]
    server: str
    prefix: Sequence[str] = ()
    lives: int = 0
    watched: WatchedDirectory | None = field(default=None, repr=False)
    child: Child | None = field(default=None, repr=False)


class Crowd:
    """All workers of a run. `history` is the supervisor's own.

    Args:
        folder: for assignments, states and logs. histories: where the histories go.
        server: "host:port" of the node; of several, worker by worker. pins: where the node prints PINs, or the folder
            of all nodes' folders.
        prefixes: for each worker, words before its command, as to enter a namespace.
        others: numbers that are sent to, besides the users of the workers.
        shim: the power-loss library, if phones are to lose power as well.
        library_marks: see `worker.Assignment`.
    """

    def __init__(
        self,
        folder: Path,
        histories: Path,
        history: HistoryWriter,
        server: str | Sequence[str],
        pins: Path,
        *,
        prefixes: Sequence[Sequence[str]],
        users_each: int,
        seed: int,
        tls: bool = True,
        others: Sequence[int] = (),
        shim: Path | None = None,
        library_marks: bool = False,
    ) -> None:
        self._library_marks = library_marks
        self._folder = folder
        self._histories = histories
        self._history = history
        servers = (server,) if isinstance(server, str) else tuple(server)
        self._pins = pins
        self._seed = seed
        self._tls = tls
        self._rate = 0.0
        numbers = iter(range(FIRST_NUMBER, FIRST_NUMBER + len(prefixes) * users_each))
        self.workers = [
            Worker(
                f"w{index}", [next(numbers) for _ in range(users_each)], servers[index % len(servers)], prefix
            )
            for index, prefix in enumerate(prefixes)
        ]
        self._peers = [user for worker in self.workers for user in worker.users] + list(others)
        for worker in self.workers:
            self._states(worker).mkdir(parents=True, exist_ok=True)
            if shim is not None:
                work = folder / f"powerloss-{worker.name}"
                worker.watched = WatchedDirectory(self._states(worker), work, shim)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            if worker.child is not None:
                worker.child.kill()

    # ---- lives -------------------------------------------------------------------------------------------

    def start(self, worker: Worker) -> None:
        """A new process on the states of the one before."""
        assert worker.child is None
        worker.lives += 1
        process = f"{worker.name}.{worker.lives}"
        assignment = Assignment(
            process=process,
            server=worker.server,
            tls=self._tls,
            users=worker.users,
            peers=self._peers,
            states=str(self._states(worker)),
            history=str(self._histories / f"{process}.jsonl"),
            pins=str(self._pins),
            seed=self._seed,
            library_marks=self._library_marks,
        )
        path = self._folder / f"{worker.name}.json"
        path.write_bytes(msgspec.json.encode(assignment))
        command = [*worker.prefix, sys.executable, "-m", "ops.faults.worker", str(path)]
        environment = worker.watched.environment() if worker.watched else {}
        worker.child = Child(command, self._folder / f"{worker.name}.log", environment)
        if self._rate:
            worker.child.ask(f"load {self._rate}", ASK_SECONDS_MAX)

    def send_elsewhere(self, gone: str, server: str, prefix: Sequence[str]) -> None:
        """The node at `gone` never returns: its apps end, and go on at another one, on their states."""
        for worker in self.workers:
            if worker.server == gone:
                if worker.child is not None:
                    self.stop(worker)
                worker.server, worker.prefix = server, prefix
                self.start(worker)

    def start_all(self) -> None:
        for worker in self.workers:
            if worker.child is None:
                self.start(worker)

    def kill(self, worker: Worker) -> None:
        """Its apps crash, all at once."""
        assert worker.child is not None
        worker.child.kill()
        worker.child = None
        for user in worker.users:
            self._history.write("client-crash", user=user)

    def lose_power(self, worker: Worker, cut: Cut) -> None:
        """The battery is out: its apps are killed, and their disk holds what was durable.

        Raises:
            JournalError: the shim didn't see everything.
        """
        assert worker.watched is not None, "this crowd was set up without the shim"
        self.kill(worker)
        worker.watched.lose_power(cut)
        self._history.write("power-loss", note=f"{worker.name} {cut}")

    def lose_devices(self, worker: Worker) -> None:
        """Its phones fall into the sea; the next start registers new ones."""
        if worker.child is not None:
            self.kill(worker)
        for each in self._states(worker).iterdir():
            each.unlink()
        if worker.watched is not None:
            worker.watched.begin()
        for user in worker.users:
            self._history.write("device-lost", user=user)

    def stop(self, worker: Worker) -> None:
        """Its apps close their clients and end.

        Raises:
            ChildError: they fail, or take too long.
        """
        assert worker.child is not None
        child, worker.child = worker.child, None
        if code := child.end(STOP_SECONDS_MAX):
            raise ChildError(f"{worker.name} ended with code {code}\n{child.log_tail()}")

    # ---- orders ------------------------------------------------------------------------------------------

    def load(self, rate: float) -> None:
        """So many messages a second from each worker, also from those that start later."""
        self._rate = rate
        self._all(f"load {rate}")

    def hush(self) -> None:
        """Nobody sends anything new."""
        self._rate = 0.0
        self._all("hush")

    def status(self) -> dict[str, dict[str, Any]]:
        """user → how it is, of all workers that run."""
        return {user: status for answer in self._all("status") for user, status in answer["users"].items()}

    def wait_online(self, seconds_max: float = 30.0) -> None:
        """Until every user of every running worker is logged in.

        Raises:
            CrowdError: somebody isn't.
        """
        self._until("online", seconds_max, lambda status: bool(status["online"]))

    def drain(self, seconds_max: float) -> bool:
        """Let everything come to rest, then write that all users are drained. Whether it came to rest in time.

        At rest: everybody is online, no outbox or inbox holds anything, and nothing came for a while. What the
        node still owes then, it isn't going to give: the checker will name it.
        """
        end = time.monotonic() + seconds_max
        quiet_since, heard = time.monotonic(), -1
        rested = False
        while time.monotonic() < end and not rested:
            answers = self._all("status")
            statuses = [status for answer in answers for status in answer["users"].values()]
            received = sum(answer["received"] for answer in answers)
            busy = not all(s["online"] and not s.get("outbox") and not s.get("inbox") for s in statuses)
            if busy or received != heard:
                quiet_since, heard = time.monotonic(), received
            rested = time.monotonic() - quiet_since >= QUIET_SECONDS
            time.sleep(0.1)
        self._all("drained")
        return rested

    # ---- inside ------------------------------------------------------------------------------------------

    def _states(self, worker: Worker) -> Path:
        return self._folder / "states" / worker.name

    def _all(self, order: str) -> list[dict[str, Any]]:
        return [w.child.ask(order, ASK_SECONDS_MAX) for w in self.workers if w.child is not None]

    def _until(self, what: str, seconds_max: float, holds: Any) -> None:
        end = time.monotonic() + seconds_max
        while wrong := {user: status for user, status in self.status().items() if not holds(status)}:
            if time.monotonic() > end:
                raise CrowdError(f"not {what} after {seconds_max} s: {wrong}")
            time.sleep(0.1)
