"""Two Erlang nodes with Mnesia tables on both, for comparison: started, told what to write, always stopped.

They talk over loopback and to nobody else: names, cookie, epmd and its port are their own and temporary. What they
do is in `tables_mnesia.erl`, which is compiled with the Erlang that is installed. This module must never know
what it is compared with.
"""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, Literal, Self

from attrs import frozen

from ops.bench.node_process import free_ports
from ops.bench.tables_pair import Pair
from ops.bench.tables_plan import Contents, Load

PROGRAM: Final = Path(__file__).with_name("tables_mnesia.erl")
_READY_SECONDS_MAX: Final = 60.0
_POLL_SECONDS: Final = 0.02
_NAMES: Final = ("a@127.0.0.1", "b@127.0.0.1")

Storage = Literal["disc_copies", "ram_copies"]


class MnesiaMissingError(Exception):
    """Erlang or its Mnesia isn't installed. The text says how to get it."""


class MnesiaStartError(Exception):
    """Erlang's port mapper or its compiler failed. The text has what it said."""


@frozen
class Tuning:
    """What is set differently from Mnesia's and Erlang's defaults.

    Attributes:
        dump_log_write_threshold: writes to the log after which it is dumped into the tables' files. Mnesia's own
            1,000 makes it dump all the time under load and say that it is overloaded; with this it never was.
        emulator: options of `erl`.
    """

    dump_log_write_threshold: int = 200_000
    emulator: Sequence[str] = ()


@frozen
class Installed:
    """Where Erlang is."""

    erl: str
    erlc: str
    epmd: str


def find_mnesia() -> Installed:
    """Erlang's commands, if Mnesia is there too.

    Raises:
        MnesiaMissingError: something isn't installed.
    """
    erl, erlc, epmd = (shutil.which(name) for name in ("erl", "erlc", "epmd"))
    if erl and erlc and epmd:
        root = Path(erl).resolve().parents[1]
        if any((root / "lib").glob("mnesia-*/ebin/mnesia.beam")):
            return Installed(erl, erlc, epmd)
    raise MnesiaMissingError(
        "the comparison needs Erlang and its Mnesia from Debian's packages; install them with:\n"
        "  apt-get install --no-install-recommends erlang-base erlang-mnesia"
    )


class MnesiaPair(Pair):
    """Two Erlang nodes."""

    name = "mnesia"

    def __init__(self, directory: Path, installed: Installed, tuning: Tuning, storage: Storage) -> None:
        super().__init__(directory)
        self._installed = installed
        self._tuning = tuning
        self._storage = storage
        self._stack = ExitStack()
        self._tables = 0
        (self._port,) = free_ports(1)

    @classmethod
    def start(
        cls, directory: Path, tables: int, *, storage: Storage = "disc_copies", tuning: Tuning | None = None
    ) -> Self:
        """Start both and make the tables.

        Raises:
            MnesiaMissingError: it isn't installed.
            MnesiaStartError, TableNodeError: it didn't start.
        """
        pair = cls(directory, find_mnesia(), tuning or Tuning(), storage)
        try:
            pair._prepare()
            for place in range(2):
                pair._start_node(place)
            pair._tables = tables
            pair._ask(0, f"{{create, '{_NAMES[1]}', {storage}, {tables}}}.")
        except BaseException:
            pair.stop()
            raise
        return pair

    def run(self, load: Load) -> dict[str, Any]:
        """Make the writes of one phase; return when both nodes have all of them in synced logs.

        Returns:
            issued_seconds: until the last writer had ended; seconds: until all was drained, too.
            latencies: (bucket, count) pairs of `ops.bench.latency`; empty for `fill` and `async`.
        """
        words = (load.mode, load.phase, load.tables, load.keys, load.writers, load.writes, load.value)
        return self._ask(0, f"{{write, {', '.join(map(str, words))}}}.")

    def tidy(self) -> float:
        """Dump the logs of both into the tables' files, which Mnesia does later otherwise; gives the seconds."""
        return float(self._ask(0, "{dump}.")["seconds"])

    def contents(self) -> list[Contents]:
        """What each node holds."""
        return [Contents(**node) for node in self._ask(0, f"{{contents, {self._tables}}}.")["nodes"]]

    def leave(self) -> None:
        """Stop the second node, gently."""
        self._ask(1, "{leave}.")
        self._nodes.pop().stop()

    def rejoin(self) -> float:
        """Start it again; gives the seconds from opening its directory until it has everything."""
        self._start_node(1)
        return float(self._ask(1, f"{{open, {self._tables}}}.")["seconds"])

    def warnings(self) -> list[str]:
        """What Mnesia has complained of."""
        logs = [path.read_text(errors="replace") for path in self.directory.glob("*/*.log")]
        overloads = sum(log.count("Mnesia is overloaded") for log in logs)
        return [f"Mnesia said that it is overloaded, {overloads} times"] if overloads else []

    def stop(self) -> None:
        """End both nodes and their epmd."""
        super().stop()
        self._stack.close()

    def _prepare(self) -> None:
        self.directory.mkdir(parents=True)
        cookie = self.directory / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        done = subprocess.run(
            [self._installed.erlc, "-o", str(self.directory), str(PROGRAM)],
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            raise MnesiaStartError(
                f"the Mnesia program doesn't compile\n{done.stdout.decode(errors='replace')}"
            )
        self._start_epmd()

    def _start_epmd(self) -> None:
        mapper = subprocess.Popen(
            [self._installed.epmd, "-port", str(self._port), "-address", "127.0.0.1"],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

        def end() -> None:
            mapper.kill()
            mapper.wait()

        self._stack.callback(end)
        deadline = time.monotonic() + _READY_SECONDS_MAX
        while mapper.poll() is None and time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return
            time.sleep(_POLL_SECONDS)
        raise MnesiaStartError(f"epmd doesn't listen on 127.0.0.1:{self._port}")

    def _start_node(self, place: int) -> None:
        name = _NAMES[place]
        directory = self.directory / name.partition("@")[0]
        command = [
            self._installed.erl, "-noshell",
            *self._tuning.emulator,
            "-start_epmd", "false", "-name", name,
            "-kernel", "inet_dist_use_interface", "{127,0,0,1}",
            "-mnesia", "dir", f'"{directory}/mnesia"',
            "-mnesia", "dump_log_write_threshold", str(self._tuning.dump_log_write_threshold),
            "-pa", str(self.directory), "-run", "tables_mnesia", "main",
        ]  # fmt: skip
        self._join(name, command, directory, self._environment())

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP_BYTES": "0",
        }
