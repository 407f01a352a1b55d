"""The node of a run: started, killed, paused, deprived of power, each written to the history.

It must never know what the clients do.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self

from ops.bench.node_process import COMMAND, NodeProcess, free_ports
from ops.history.writer import HistoryWriter
from ops.powerloss.image import Account, Cut
from ops.powerloss.watch import WatchedDirectory

READY_SECONDS_MAX: Final = 30.0
GENEROUS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "registration": {
            "address_pins_burst": 10_000,
            "address_guesses_burst": 10_000,
            "pin_wait_s": 1,
            "pin_wait_factor": 1.0,
            "pin_requests_per_day": 100,
            "pin_digits": 8,
        },
        "limits": {"bye_retry_ms_max": 1_000},
        "mail": {"send_rate": 1e6, "send_burst": 1_000_000},
        "session": {"ping_after_s": 5, "ping_wait_s": 5},
    }
)
"""Settings for a run: many users of one address, who come back within a second, and silence noticed within seconds."""


class StageError(Exception):
    """The node didn't do what a node must do whatever happens to it: start again, or stop when asked."""


class Stage:
    """One node in `folder`; its data is under `folder/disk`, and nothing else is.

    Args:
        history: the supervisor's.
        host: where it listens. prefix: words before its command, as to enter a namespace.
        shim: the power-loss library; without it `lose_power` isn't possible.
        settings: tables that are laid over `GENEROUS`.
        disk: another place for the data, as a small disk.
    """

    def __init__(
        self,
        folder: Path,
        history: HistoryWriter,
        *,
        host: str = "127.0.0.1",
        prefix: Sequence[str] = (),
        shim: Path | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        disk: Path | None = None,
    ) -> None:
        self.folder = folder
        self.disk = disk or folder / "disk"
        self.disk.mkdir(parents=True, exist_ok=True)
        self.host = host
        self.port, self.plain_port = free_ports(2)
        self._history = history
        self._command = [*prefix, *COMMAND]
        self._watched = WatchedDirectory(self.disk, folder / "powerloss", shim) if shim else None
        self._node: NodeProcess | None = None
        self.lie = False  # from the next start on, the node's fsync makes nothing durable
        self.sync_ms = 0  # from the next start on, how long each of its syncs takes at least
        config: dict[str, dict[str, Any]] = {
            "node": {"data": str(self.data)},
            "listen": {"host": host, "port": self.port, "plain_port": self.plain_port},
        }
        for tables in (GENEROUS, settings or {}):
            for table, entries in tables.items():
                config[table] = {**config.get(table, {}), **entries}
        self._config = config

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._node is not None:
            self._node.kill()

    @property
    def data(self) -> Path:
        """The node's data directory."""
        return self.disk / "data"

    @property
    def server(self) -> str:
        """Its TLS port, as a client is told."""
        return f"{self.host}:{self.port}"

    @property
    def pins(self) -> Path:
        """Where its PINs are printed."""
        return self.folder / "node.out"

    @property
    def node(self) -> NodeProcess:
        """The process, which must run."""
        assert self._node is not None
        return self._node

    @property
    def is_running(self) -> bool:
        return self._node is not None and self._node.exit_code is None

    def start(self) -> None:
        """Start it, on whatever is on the disk.

        Raises:
            NodeStartError: it doesn't become ready.
        """
        assert self._node is None
        environment = self._watched.environment(self.lie, self.sync_ms) if self._watched else {}
        self._node = NodeProcess.start(
            self._config,
            self.folder,
            command=self._command,
            environment=environment,
            ready_seconds_max=READY_SECONDS_MAX,
        )
        self._history.write("node-start")

    def kill(self) -> None:
        """`kill -9`."""
        self.node.kill()
        self._node = None
        self._history.write("node-kill")

    def wait_end(self, seconds_max: float) -> int:
        """Wait until it has ended by itself; its exit code.

        Raises:
            StageError: it goes on.
        """
        node, self._node = self.node, None
        end = time.monotonic() + seconds_max
        while (code := node.exit_code) is None:
            if time.monotonic() > end:
                node.kill()
                raise StageError(f"the node should have ended\n{node.log_tail()}")
            time.sleep(0.02)
        self._history.write("node-stop")
        return code

    def stop(self) -> None:
        """Ask it to stop.

        Raises:
            StageError: it ends with an error, or not at all.
        """
        node, self._node = self.node, None
        code = node.stop()
        self._history.write("node-stop")
        if code:
            raise StageError(f"the node ended with code {code} when it was asked to stop\n{node.log_tail()}")

    def pause(self) -> None:
        """It doesn't run until `resume`."""
        self.node.signal(signal.SIGSTOP)
        self._history.write("node-pause")

    def resume(self) -> None:
        self.node.signal(signal.SIGCONT)
        self._history.write("node-resume")

    def lose_power(self, cut: Cut) -> Account:
        """Kill it, and leave on the disk what a power failure would have left.

        Raises:
            JournalError: the shim didn't see everything, so that the test would prove nothing.
        """
        assert self._watched is not None, "this stage was set up without the shim"
        if self._node is not None:
            self._node.kill()
            self._node = None
        account = self._watched.lose_power(cut)
        self._history.write("power-loss", note=f"{cut}")
        return account

    def settle(self) -> None:
        """What is on the disk now is durable; the node is down."""
        assert self._node is None
        assert self._watched is not None
        self._watched.begin()

    def fail_next_sync(self) -> None:
        """The next fsync of the node fails with EIO."""
        assert self._watched is not None
        self._watched.fail_next_sync.touch()
