"""A network namespace, and the process that holds it: the kernel lets go of it, and of what is in it, when that ends.

Nothing of the machine's own network is touched. It must never know what runs inside, nor what it is joined with.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from ops.faults.unavailable import UnavailableError

_TOOLS: Final = ("ip", "nsenter", "unshare", "setpriv", "sleep")
_SECONDS_MAX: Final = 10


class Namespace:
    """Made with the object, until `end`. `pid` is the process that holds it.

    Raises:
        UnavailableError: not root, a tool is missing, or the kernel doesn't let us.
    """

    def __init__(self) -> None:
        missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
        if missing:
            raise UnavailableError(
                f"network namespaces need {', '.join(missing)}: apt-get install iproute2 util-linux"
            )
        if os.geteuid() != 0:
            raise UnavailableError("network namespaces need root")
        command = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--net", "--", "sleep", "infinity"]
        self._holder = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        try:
            self._wait_held()
        except BaseException:
            self.end()
            raise

    def _wait_held(self) -> None:
        ours = os.readlink("/proc/self/ns/net")
        while not self._is_held(ours):
            if self._holder.poll() is not None:
                assert self._holder.stderr is not None
                text = self._holder.stderr.read().strip()
                raise UnavailableError(f"no network namespace can be made here: {text}")

    def _is_held(self, ours: str) -> bool:
        """Whether the namespace is another one, and unshare has become sleep: then it is there to stay."""
        process = Path(f"/proc/{self.pid}")
        try:
            return os.readlink(process / "ns" / "net") != ours and (process / "comm").read_text() == "sleep\n"
        except OSError:  # it has ended
            return False

    @property
    def pid(self) -> int:
        """Of the process that holds it; to the commands of `ip`, the namespace's name."""
        return self._holder.pid

    @property
    def prefix(self) -> list[str]:
        """Words before a command that is to run inside."""
        return ["nsenter", "-t", str(self.pid), "--net", "--"]

    def ip(self, *words: str) -> None:
        """Do something to the network inside (ip(8)). Raises UnavailableError."""
        done = subprocess.run(  # noqa: S603
            [*self.prefix, "ip", *words], capture_output=True, text=True, timeout=_SECONDS_MAX, check=False
        )
        if done.returncode:
            raise UnavailableError(f"ip {' '.join(words)}: {done.stderr.strip()}")

    def end(self) -> None:
        """Let go of it. Once is enough, and again does no harm."""
        self._holder.kill()
        self._holder.wait()
        if self._holder.stderr is not None:
            self._holder.stderr.close()
