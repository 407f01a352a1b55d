"""One run: a node, a crowd, load, faults one after another, then peace, a drain, and the checker's verdict.

    with Drill(folder, seed=1) as drill:
        drill.begin(rate=50)
        drill.suffer(make_plan(1, {Kind.NODE_KILL: 4}, pause=1.0))
        outcome = drill.conclude()
    assert outcome.report.good, outcome.report.as_text()

Everything stays in `folder`: histories (`histories/`), logs, states, and the node's data. It must never decide
whether a promise held: the checker does, from what was written.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from attrs import frozen

from ops.faults.crowd import Crowd, Worker
from ops.faults.disk import SmallDisk
from ops.faults.network import CLIENT_ADDRESS, NODE_ADDRESS, Network
from ops.faults.plan import Fault, Kind
from ops.faults.stage import Stage
from ops.history.report import Report, check_files
from ops.history.writer import HistoryWriter
from ops.powerloss.image import Cut, Loss

ONLINE_SECONDS_MAX: Final = 40.0
DRAIN_SECONDS_MAX: Final = 60.0
Tell = Callable[[str], None]


@frozen
class Outcome:
    """What a run gave: the verdict, whether everything came to rest, and what was done."""

    report: Report
    rested: bool
    faults: int
    seconds: float
    histories: Path

    def __str__(self) -> str:
        rest = "" if self.rested else "; it never came to rest"
        return f"{self.faults} faults in {self.seconds:.0f} s{rest}\n{self.report.as_text()}"


class Drill:
    """A run in `folder`, which is empty.

    Args:
        seed: of load and faults.
        workers, users_each: processes of clients, and clients of each.
        network: the last worker is behind a cable that can be cut (root only).
        disk_bytes: the node's data is on a small disk (root only).
        shim: the power-loss library. phones_lose_power: it is for the clients, too.
        others: numbers that are sent to besides; `prepare(data)` is called before the first start for them.

    Raises:
        UnavailableError: on entering, when this machine can't do what is asked.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        workers: int = 3,
        users_each: int = 2,
        network: bool = False,
        disk_bytes: int = 0,
        shim: Path | None = None,
        phones_lose_power: bool = False,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        others: Sequence[int] = (),
        prepare: Callable[[Path], None] | None = None,
        tell: Tell = lambda text: None,
    ) -> None:
        self.folder = folder
        self.histories = folder / "histories"
        self.seed = seed
        self._shape = (workers, users_each)
        self._network_wanted = network
        self._disk_bytes = disk_bytes
        self._shim = shim
        self._phones_lose_power = phones_lose_power
        self._settings = settings
        self._others = others
        self._prepare = prepare
        self._tell = tell
        self._stack = ExitStack()
        self._faults = 0
        self._began = time.monotonic()
        self.network: Network | None = None
        self.disk: SmallDisk | None = None
        self.stage: Stage = None  # type: ignore[assignment]  # there once it is entered
        self.crowd: Crowd = None  # type: ignore[assignment]  # likewise

    def __enter__(self) -> Self:
        enter = self._stack.enter_context
        try:
            self.histories.mkdir(parents=True)
            self._history = HistoryWriter(self.histories / "supervisor.jsonl", "supervisor")
            self._stack.callback(self._history.close)
            workers, users_each = self._shape
            prefixes: list[list[str]] = [[] for _ in range(workers)]
            host, prefix = "127.0.0.1", list[str]()
            if self._network_wanted:
                self.network = enter(Network())
                host, prefix = NODE_ADDRESS, self.network.node
                prefixes = [self.network.node] * (workers - 1) + [self.network.clients]
            if self._disk_bytes:
                self.disk = enter(SmallDisk(self.folder / "small-disk", self._disk_bytes))
            self.stage = enter(
                Stage(
                    self.folder,
                    self._history,
                    host=host,
                    prefix=prefix,
                    shim=self._shim,
                    settings=self._settings,
                    disk=self.disk.place / "disk" if self.disk else None,
                )
            )
            self.crowd = enter(
                Crowd(
                    self.folder,
                    self.histories,
                    self._history,
                    self.stage.server,
                    self.stage.pins,
                    prefixes=prefixes,
                    users_each=users_each,
                    seed=self.seed,
                    others=self._others,
                    shim=self._shim if self._phones_lose_power else None,
                )
            )
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    # ---- acts --------------------------------------------------------------------------------------------

    def begin(self, rate: float) -> None:
        """Start node and clients, wait until all are logged in, and load: messages a second from each worker.

        Raises:
            NodeStartError, ChildError, CrowdError.
        """
        if self._prepare is not None:
            self._prepare(self.stage.data)
        self.stage.start()
        self.crowd.start_all()
        self.crowd.wait_online(ONLINE_SECONDS_MAX)
        self.crowd.load(rate)

    def suffer(self, plan: Sequence[Fault]) -> None:
        """One fault after another.

        Raises:
            NodeStartError, StageError, ChildError, JournalError: something didn't survive.
        """
        for fault in plan:
            time.sleep(fault.pause)
            self._tell(f"{fault.kind.value} for {fault.seconds:.1f} s")
            self._do(fault)
            self._faults += 1

    def conclude(self, drain_seconds_max: float = DRAIN_SECONDS_MAX) -> Outcome:
        """Peace: everybody comes back, nobody sends anything new, all is delivered; then the verdict.

        Raises:
            NodeStartError, ChildError, StageError.
        """
        self.crowd.start_all()
        self.crowd.hush()
        rested = self.crowd.drain(drain_seconds_max)
        for worker in self.crowd.workers:
            self.crowd.stop(worker)
        self.stage.stop()
        report = check_files([self.histories])
        return Outcome(report, rested, self._faults, time.monotonic() - self._began, self.histories)

    # ---- faults ------------------------------------------------------------------------------------------

    def _do(self, fault: Fault) -> None:
        stage, crowd = self.stage, self.crowd
        match fault.kind:
            case Kind.NODE_KILL:
                stage.kill()
                time.sleep(fault.seconds)
                stage.start()
            case Kind.NODE_PAUSE:
                stage.pause()
                time.sleep(fault.seconds)
                stage.resume()
            case Kind.NODE_STOP:
                stage.stop()
                time.sleep(fault.seconds)
                stage.start()
            case Kind.POWER_LOSS:
                account = stage.lose_power(random_cut(fault.seed))
                self._tell(f"  {account.dropped_bytes} bytes and {account.dropped_names} names were lost")
                time.sleep(fault.seconds)
                stage.start()
            case Kind.CLIENT_KILL:
                worker = self._victim(fault)
                crowd.kill(worker)
                time.sleep(fault.seconds)
                crowd.start(worker)
            case Kind.CLIENT_PAUSE:
                child = self._victim(fault).child
                assert child is not None
                child.pause()
                time.sleep(fault.seconds)
                child.resume()
            case Kind.CLIENT_POWER_LOSS:
                worker = self._victim(fault)
                crowd.lose_power(worker, random_cut(fault.seed))
                time.sleep(fault.seconds)
                crowd.start(worker)
            case Kind.NEW_DEVICES:
                worker = self._victim(fault)
                crowd.lose_devices(worker)
                time.sleep(fault.seconds)
                crowd.start(worker)
            case Kind.NETWORK_CUT:
                self._cut_network(fault)
            case Kind.DISK_FULL:
                assert self.disk is not None
                self._history.write("disk-full")
                self.disk.fill()
                time.sleep(fault.seconds)
                self.disk.free()
                self._history.write("disk-free")

    def _cut_network(self, fault: Fault) -> None:
        """Half of the times the clients behind the cut die, so that the node never hears a FIN from them."""
        assert self.network is not None
        worker = self.crowd.workers[-1]
        self._history.write("network-cut", note=CLIENT_ADDRESS)
        self.network.cut()
        time.sleep(fault.seconds)
        if fault.victim < 0.5:
            self.crowd.kill(worker)
        self.network.heal()
        self._history.write("network-heal")
        if worker.child is None:
            self.crowd.start(worker)

    def _victim(self, fault: Fault) -> Worker:
        workers = self.crowd.workers
        return workers[int(fault.victim * len(workers))]


def random_cut(seed: int) -> Cut:
    """One of the ways in which power fails."""
    rng = random.Random(f"cut {seed}")
    return Cut(
        loss=rng.choice((Loss.UNSYNCED, Loss.TORN)),
        seed=seed,
        keep=rng.choice((0.2, 0.5, 0.9)),
        sector=rng.choice((512, 4096)),
    )
