"""A Waystation node as a process of its own: start it, measure it from outside, stop or kill it.

For benchmarks and system tests. The node is started as a user would start it, with a configuration file; nothing
is imported from it. This module must never know the protocol.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from ops.bench import process
from ops.bench.adopted import Adopted

COMMAND: Final = (sys.executable, "-m", "ops.command", "run")
_ROOT: Final = Path(__file__).resolve().parents[2]
_POLL_SECONDS: Final = 0.01
_LOG_TAIL: Final = 2_000
_SUCCEEDED_SECONDS_MAX: Final = 30.0


class NodeStartError(Exception):
    """The node ended, or was not ready in time. The text has the end of its log, which says why."""


def toml(config: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of plain values as TOML. Values are strings, numbers, booleans and lists of these."""
    lines = []
    for table, entries in config.items():
        lines.append(f"[{table}]")
        for key, value in entries.items():
            # JSON's strings, numbers, booleans and arrays are TOML's too, where paths are plain text.
            lines.append(f"{key} = {json.dumps(str(value) if isinstance(value, Path) else value)}")
        lines.append("")
    return "\n".join(lines)


def free_ports(count: int) -> list[int]:
    """TCP ports that nobody listens on now, below those that outgoing connections take."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as ranges:
        first_ephemeral = int(ranges.read().split()[0])
    start = 10_000 + os.getpid() * 7 % 10_000
    found: list[int] = []
    for port in (*range(start, first_ephemeral), *range(10_000, start)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise NodeStartError("no free TCP port below the ephemeral ones")


class NodeProcess:
    """One node in one directory: `node.toml`, `node.log` (its stderr) and `node.out` (its stdout).

    `NodeProcess.start(config, directory)` returns when the node has said `ready`. The same directory may be
    started again after `stop` or `kill`. As a context manager it is killed at the end, unless it has ended.
    """

    def __init__(self, popen: subprocess.Popen[bytes] | Adopted, directory: Path, ready_line: str) -> None:
        self._popen = popen
        self.directory = directory
        self.ready_line = ready_line

    @classmethod
    def start(
        cls,
        config: Mapping[str, Mapping[str, Any]],
        directory: Path,
        *,
        command: Sequence[str] = COMMAND,
        environment: Mapping[str, str] | None = None,
        ready_seconds_max: float = 30.0,
    ) -> Self:
        """Write the configuration, start a node and wait until it is ready.

        Args:
            config: table → key → value, as in the configuration file.
            directory: the node's working directory, where relative paths of the configuration begin.
            command: what to run; `--config FILE` is appended.
            environment: set in addition to this process's own; LD_PRELOAD, for example.

        Raises:
            NodeStartError: it ended, or did not say `ready` in time.
        """
        directory.mkdir(parents=True, exist_ok=True)
        config_path, out_path, log_path = (directory / name for name in ("node.toml", "node.out", "node.log"))
        config_path.write_text(toml(config))
        python_path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        with out_path.open("wb") as out, log_path.open("ab") as log:
            popen = subprocess.Popen(
                [*_dying_with_us(), *command, "--config", str(config_path)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                cwd=directory,
                env={**os.environ, "PYTHONPATH": python_path, **(environment or {})},
                start_new_session=True,  # Ctrl-C is its owner's to handle
            )
        node = cls(popen, directory, "")
        deadline = time.monotonic() + ready_seconds_max
        try:
            while not node.ready_line:
                node.ready_line = next(
                    (line for line in out_path.read_text().splitlines() if line.startswith("ready")), ""
                )
                if popen.poll() is not None:
                    raise NodeStartError(f"the node ended with code {popen.returncode}\n{node.log_tail()}")
                if time.monotonic() > deadline:
                    raise NodeStartError(f"not ready after {ready_seconds_max:.0f} s\n{node.log_tail()}")
                time.sleep(_POLL_SECONDS)
        except BaseException:
            node.kill()
            raise
        return node

    def succeeded_by(self, pid: int) -> "NodeProcess":
        """The process that has taken its place, which is begun by it: to be owned as this one was."""
        self._popen.wait(_SUCCEEDED_SECONDS_MAX)
        return NodeProcess(Adopted(pid), self.directory, self.ready_line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    def log_tail(self) -> str:
        """The end of what the node has logged."""
        return (self.directory / "node.log").read_text(errors="replace")[-_LOG_TAIL:]

    def cpu_seconds(self) -> float:
        """CPU time of all threads since the start, user and system."""
        return process.cpu_seconds(self.pid)

    def rss_bytes(self) -> int:
        """Resident memory now."""
        return process.rss_bytes(self.pid)

    def peak_rss_bytes(self) -> int:
        """The most resident memory since the start."""
        return process.peak_rss_bytes(self.pid)

    def memory(self) -> process.Memory:
        """Resident memory now, told apart by kind."""
        return process.memory(self.pid)

    def io(self) -> process.Traffic:
        """Bytes read and written since the start."""
        return process.traffic(self.pid)

    def signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        self._popen.send_signal(number)

    def stop(self, seconds_max: float = 30.0) -> int:
        """Ask it to stop (SIGTERM) and wait; kill it if that takes too long. Returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self._popen.wait(seconds_max)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._popen.wait()

    def kill(self) -> None:
        """End it at once (SIGKILL). Nothing happens if it has ended."""
        self._popen.kill()
        self._popen.wait()


def _dying_with_us() -> list[str]:
    """The node must not outlive a benchmark or test that is killed itself (prctl(2), PR_SET_PDEATHSIG)."""
    setpriv = Path("/usr/bin/setpriv")
    return [str(setpriv), "--pdeathsig", "KILL", "--"] if setpriv.exists() else []
