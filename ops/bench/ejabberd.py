"""ejabberd as a process of its own, for comparison: configured, filled with accounts, measured, always stopped.

It gets what costs it least: Erlang schedulers that sleep when idle instead of spinning, and no node distribution (so no
cookie) unless it is a member of a cluster. It ends at the end of its input, so it can't outlive the benchmark. This
module must never know what load is coming.
"""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from attrs import field, frozen

from ops.bench import process
from ops.bench.ejabberd_configuration import Profile, configure
from ops.bench.identities import XMPP_HOST, XMPP_PASSWORD
from ops.bench.node_process import free_ports

_READY_SECONDS_MAX: Final = 120.0
_STOP_SECONDS_MAX: Final = 20.0
_HELPERS_SECONDS_MAX: Final = 2.0
_POLL_SECONDS: Final = 0.02
_LIBRARIES: Final = (
    "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib/erlang/lib", "/usr/lib"
)  # fmt: skip

_PROGRAM: Final = """
{{ok, _}} = application:ensure_all_started(ejabberd),
{join}ok = lists:foreach(
  fun(Index) ->
    Name = <<"u", (integer_to_binary(Index))/binary>>,
    ok = ejabberd_auth:try_register(Name, <<"{host}">>, <<"{password}">>)
  end, lists:seq(0, {users} - 1)),
file:write_file("{ready}", <<"ready">>),
io:get_line(""),
halt(0, [{{flush, false}}]).
"""

_EMULATOR: Final = ("+K", "true", "+P", "250000", "+Q", "65536", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none")  # fmt: skip  # noqa: E501


_JOIN: Final = "ok = ejabberd_cluster:join('{name}'),\n"
"""What `ejabberdctl join_cluster` calls."""


@frozen
class Seat:
    """A member's place in a cluster.

    Attributes:
        name: of the Erlang node, with its own loopback address as its host.
        port: for Erlang's distribution, the same one at each member's address: there is no epmd.
        cookie: what members show one another.
        join: the name of a member whose cluster it joins; empty: it is the first one.
    """

    name: str
    port: int
    cookie: str = field(repr=False)
    join: str = ""

    def options(self) -> list[str]:
        """Of `erl`."""
        host = self.name.partition("@")[2].replace(".", ",")
        return [
            "-start_epmd", "false", "-erl_epmd_port", str(self.port), "-name", self.name,
            "-kernel", "inet_dist_use_interface", f"{{{host}}}",
        ]  # fmt: skip


class EjabberdMissingError(Exception):
    """ejabberd or Erlang isn't installed. The text says how to get it."""


class EjabberdStartError(Exception):
    """ejabberd ended or was not ready in time. The text has the end of its log."""


def find_ejabberd() -> tuple[str, Path, str]:
    """Erlang's command, the directory of ejabberd's library, and ejabberd's version.

    Raises:
        EjabberdMissingError: one of them isn't installed.
    """
    erlang = shutil.which("erl")
    for folder in map(Path, _LIBRARIES):
        found = sorted(path for path in folder.glob("ejabberd-*") if (path / "ebin/ejabberd.app").exists())
        if erlang and found:
            return erlang, folder, found[0].name.partition("-")[2]
    raise EjabberdMissingError(
        "the comparison needs ejabberd and Erlang from Debian's packages; install them with:\n"
        "  apt-get install --no-install-recommends ejabberd\n"
        "and stop the server that the package may have started: systemctl disable --now ejabberd"
    )


class EjabberdProcess:
    """One ejabberd in one directory, listening on 127.0.0.1. As a context manager it is ended at the end."""

    def __init__(self, popen: subprocess.Popen[bytes], directory: Path, port: int, version: str) -> None:
        self._popen = popen
        self.directory = directory
        self.port = port
        self.version = version

    @classmethod
    def start(
        cls,
        directory: Path,
        users: int,
        *,
        tls: bool = False,
        profile: Profile = "managed",
        seat: Seat | None = None,
    ) -> Self:
        """Configure and start it, join its cluster, register `users` accounts, and wait until it listens.

        Raises:
            EjabberdMissingError: it isn't installed.
            EjabberdStartError: it ended or was not ready in time.
        """
        erlang, library, version = find_ejabberd()
        directory.mkdir(parents=True)
        (port,) = free_ports(1)
        configuration, ready = configure(directory, port, tls=tls, profile=profile), directory / "ready"
        join = _JOIN.format(name=seat.join) if seat and seat.join else ""
        program = _PROGRAM.format(host=XMPP_HOST, password=XMPP_PASSWORD, users=users, ready=ready, join=join)
        options: list[str] = []
        if seat is not None:
            options = seat.options()
            cookie = directory / ".erlang.cookie"
            cookie.write_text(seat.cookie)
            cookie.chmod(0o400)
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "ERL_LIBS": str(library),
            "ERL_MAX_PORTS": "65536",
            "ERL_CRASH_DUMP": str(directory / "crash.dump"),
            "EJABBERD_CONFIG_PATH": str(configuration),
            "EJABBERD_LOG_PATH": str(directory / "ejabberd.log"),
        }
        arguments = [erlang, "-noshell", *_EMULATOR, *options, "-mnesia", "dir", f'"{directory}/mnesia"']
        with (directory / "erlang.log").open("wb") as log:
            popen = subprocess.Popen(
                [*arguments, "-eval", " ".join(program.split("\n"))],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=directory,
                env=environment,
                start_new_session=True,  # Ctrl-C is the benchmark's to handle
            )
        server = cls(popen, directory, port, version)
        deadline = time.monotonic() + _READY_SECONDS_MAX
        try:
            while not ready.exists():
                if popen.poll() is not None:
                    raise EjabberdStartError(f"ejabberd ended\n{server.log_tail()}")
                if time.monotonic() > deadline:
                    raise EjabberdStartError(f"ejabberd was not ready in time\n{server.log_tail()}")
                time.sleep(_POLL_SECONDS)
        except BaseException:
            server.stop()
            raise
        return server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of beam.smp."""
        return self._popen.pid

    def log_tail(self) -> str:
        """The end of what ejabberd and Erlang said."""
        paths = [self.directory / name for name in ("ejabberd.log", "erlang.log")]
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in paths if path.exists())

    def cpu_seconds(self) -> float:
        """CPU time since the start of beam.smp and its children."""
        return process.family_cpu_seconds(self.pid)

    def rss_bytes(self) -> int:
        """Resident memory of beam.smp now."""
        return process.rss_bytes(self.pid)

    def memory(self) -> process.Memory:
        """Resident memory of beam.smp now, told apart by kind."""
        return process.memory(self.pid)

    def peak_rss_bytes(self) -> int:
        """The most resident memory of beam.smp since the start."""
        return process.peak_rss_bytes(self.pid)

    def io(self) -> process.Traffic:
        """Bytes read and written by beam.smp since the start."""
        return process.traffic(self.pid)

    @property
    def is_running(self) -> bool:
        """Whether it lives."""
        return self._popen.poll() is None

    def kill(self) -> None:
        """End it from one moment to the next, as a machine does that loses its power."""
        helpers = process.children(self.pid)
        self._popen.kill()
        self._popen.wait()
        _end_all(helpers)

    def stall(self) -> None:
        """Let it stand still, with its connections open. Then `kill` ends it."""
        os.kill(self.pid, signal.SIGSTOP)

    def stop(self) -> None:
        """End it and what it has started; the data is thrown away anyway, so it needn't be gentle."""
        helpers = process.children(self.pid) if self._popen.poll() is None else []
        assert self._popen.stdin is not None
        with suppress(BrokenPipeError):
            self._popen.stdin.close()
        try:
            self._popen.wait(_STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        _end_all(helpers)


def _end_all(pids: list[int]) -> None:
    """What beam.smp started ends with it; what hangs is killed."""
    deadline = time.monotonic() + _HELPERS_SECONDS_MAX
    while (left := [pid for pid in pids if process.runs(pid)]) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
