"""A systemd of its own, as PID 1 of a machine within the machine: its own processes, mounts, network, names and cgroup.

It sees a root of its own (`apart_root`), in memory, with the machine's /usr read-only; of the machine's other files,
processes and network it sees nothing, and it ends with the object. This module must never know what is tried in it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from ops.faults.unavailable import UnavailableError

SYSTEMD: Final = Path("/usr/lib/systemd/systemd")
TOOLS: Final = (
    "unshare",
    "nsenter",
    "setpriv",
    "mount",
    "pivot_root",
    "chroot",
    "ldconfig",
    "systemctl",
    "journalctl",
)
PROGRAM: Final = Path(__file__).resolve().parents[2]
UP_S_MAX: Final = 120.0
COMMAND_S_MAX: Final = 120.0
_POLL_S: Final = 0.1
_CLONE_NEWNET: Final = 0x40000000
ENVIRONMENT: Final = (
    "PATH=/opt/waystation/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG=C.UTF-8",
    "SYSTEMD_COLORS=0",
    "HOME=/root",
)
T = TypeVar("T")


def why_not() -> str:
    """What is missing here; "" if it can be tried."""
    if os.geteuid() != 0:
        return "a systemd of its own needs root"
    missing = [one for one in TOOLS if shutil.which(one, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
    if missing or not SYSTEMD.exists():
        wanted = ", ".join(missing) or SYSTEMD
        return f"a systemd of its own needs {wanted}: apt-get install systemd util-linux libc-bin"
    if not all(Path(one).is_symlink() for one in ("/bin", "/sbin", "/lib")):
        return "a systemd of its own needs a machine whose /bin and /lib are in /usr"
    if _cgroups() is None:
        return "a systemd of its own needs cgroup v2, mounted"
    return ""


class Apart:
    """From when it is up until the end of the block.

    Raises:
        UnavailableError: this machine doesn't let us, or it doesn't come up.
    """

    def __init__(self) -> None:
        if missing := why_not():
            raise UnavailableError(missing)
        self._holder: subprocess.Popen[str] | None = None
        self._pid = 0

    def __enter__(self) -> Self:
        self._root = Path(tempfile.mkdtemp(prefix="waystation-apart-", dir="/var/tmp"))
        cgroups = _cgroups()
        assert cgroups is not None
        self._cgroup = cgroups / self._root.name
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(self, *words: str, check: bool = True) -> str:
        """What a command says that root gives inside.

        Raises:
            CommandFailed: `check`, and it ended by another status than 0, or not at all.
        """
        try:
            done = subprocess.run(  # noqa: S603
                [*self._within(), "env", "-i", *ENVIRONMENT, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_S_MAX,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"{' '.join(words)}: not done after {COMMAND_S_MAX:.0f} s") from None
        if check and done.returncode:
            raise CommandFailed(f"{' '.join(words)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout.strip()

    def in_network(self, make: Callable[[], T]) -> T:
        """Called in a thread that is in its network: sockets that are made there stay in it."""
        made: list[T] = []
        failed: list[BaseException] = []

        def call() -> None:
            try:
                with open(f"/proc/{self._pid}/ns/net") as network:
                    libc = ctypes.CDLL(None, use_errno=True)
                    if libc.setns(network.fileno(), _CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                made.append(make())
            except BaseException as error:  # noqa: BLE001 - raised below, where it was asked for
                failed.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return made[0]

    # ---- beginning and end ----------------------------------------------------------------------------

    def _start(self) -> None:
        try:
            self._cgroup.mkdir()
        except OSError as error:
            raise UnavailableError(f"no cgroup can be made here: {error.strerror}") from error
        inner = [sys.executable, "-m", "ops.systemd.apart_root", str(self._root), str(PROGRAM)]
        namespaces = ["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--propagation", "private"]
        unshare = ["unshare", *namespaces, "--fork", "--kill-child=KILL", "--", *inner]
        enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
        self._holder = subprocess.Popen(  # noqa: S603
            ["setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", enter, str(self._cgroup), *unshare],  # noqa: S607
            cwd=PROGRAM,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        end = time.monotonic() + UP_S_MAX
        state = ""
        while state not in ("running", "degraded"):
            if self._holder.poll() is not None:
                assert self._holder.stderr is not None
                said = self._holder.stderr.read().strip().rpartition("\n")[2]
                raise UnavailableError(f"no systemd of its own can be started here: {said}")
            if time.monotonic() > end:
                raise UnavailableError(
                    f"a systemd of its own isn't up after {UP_S_MAX:.0f} s: {state or 'silent'}"
                )
            time.sleep(_POLL_S)
            if self._pid or self._is_there():
                state = self.run("systemctl", "is-system-running", check=False)

    def _is_there(self) -> bool:
        assert self._holder is not None
        with contextlib.suppress(OSError, ValueError):
            pid = int(Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text())
            if Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                self._pid = pid
        return bool(self._pid)

    def _within(self) -> list[str]:
        return ["nsenter", "-t", str(self._pid), "-m", "-p", "-u", "-i", "-n", "-C", "--"]

    def _end(self) -> None:
        """The first process ends, and so the kernel ends all others of it, and its mounts."""
        if self._holder is not None:
            with contextlib.suppress(ProcessLookupError):
                if self._pid:
                    os.kill(self._pid, signal.SIGKILL)
                else:
                    self._holder.kill()
            self._holder.wait()
            if self._holder.stderr is not None:
                self._holder.stderr.close()
        with contextlib.suppress(OSError):
            folders = [self._cgroup, *(one for one in self._cgroup.rglob("*") if one.is_dir())]
            for folder in reversed(folders):
                folder.rmdir()
        with contextlib.suppress(OSError):
            self._root.rmdir()  # it was mounted on, never written


class CommandFailed(Exception):
    """A command inside; the text has what it said."""


def _cgroups() -> Path | None:
    """Where this process's cgroup of version 2 is; None if there is none."""
    mounts: list[Any] = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    places = [words[1] for words in mounts if words[2] == "cgroup2"]
    own = [line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")]
    return Path(places[0]) / own[0].lstrip("/") if places and own else None
