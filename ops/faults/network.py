"""Two network namespaces with a cable between them, so that clients can vanish without a FIN.

Nothing of the machine's own network is touched: both ends of the veth pair live in namespaces of ours, which end
with the processes that hold them. It must never know what runs inside.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ops.faults.unavailable import UnavailableError

NODE_ADDRESS: Final = "10.213.77.1"
CLIENT_ADDRESS: Final = "10.213.77.2"
_TOOLS: Final = ("ip", "nsenter", "unshare", "setpriv", "sleep")
_SECONDS_MAX: Final = 10


class Network:
    """Enter it to have the namespaces; `node` and `clients` are prefixes for commands to run inside.

    Raises:
        UnavailableError: not root, or a tool is missing.
    """

    def __init__(self) -> None:
        missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
        if missing:
            raise UnavailableError(
                f"network namespaces need {', '.join(missing)}: apt-get install iproute2 util-linux"
            )
        if os.geteuid() != 0:
            raise UnavailableError("network namespaces need root")
        self._holders: list[subprocess.Popen[bytes]] = []
        self._cut = False

    def __enter__(self) -> Self:
        try:
            self._holders = [self._hold(), self._hold()]
            for number, address in enumerate((NODE_ADDRESS, CLIENT_ADDRESS)):
                self._inside(number, "link", "set", "lo", "up")
                if number == 0:
                    peer = str(self._holders[1].pid)
                    self._inside(
                        0, "link", "add", "ws0", "type", "veth", "peer", "name", "ws0", "netns", peer
                    )
                self._inside(number, "address", "add", f"{address}/30", "dev", "ws0")
                self._inside(number, "link", "set", "ws0", "up")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def node(self) -> list[str]:
        """Run this prefix with a command to run it where the node is."""
        return self._enter(0)

    @property
    def clients(self) -> list[str]:
        """Run this prefix with a command to run it at the other end of the cable."""
        return self._enter(1)

    def cut(self) -> None:
        """Pull the cable: packets vanish both ways, and nobody is told."""
        self._inside(1, "link", "set", "ws0", "down")
        self._cut = True

    def heal(self) -> None:
        """Put it back."""
        if self._cut:
            self._inside(1, "link", "set", "ws0", "up")
            self._cut = False

    def _hold(self) -> subprocess.Popen[bytes]:
        command = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--net", "--", "sleep", "infinity"]
        holder = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)  # noqa: S603
        ours = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{holder.pid}/ns/net") == ours or not _sleeps(holder.pid):
            if holder.poll() is not None:
                assert holder.stderr is not None
                text = holder.stderr.read().decode(errors="replace").strip()
                raise UnavailableError(f"no network namespace can be made here: {text}")
        return holder

    def _enter(self, number: int) -> list[str]:
        return ["nsenter", "-t", str(self._holders[number].pid), "--net", "--"]

    def _inside(self, number: int, *words: str) -> None:
        done = subprocess.run(  # noqa: S603
            [*self._enter(number), "ip", *words],
            capture_output=True,
            text=True,
            timeout=_SECONDS_MAX,
            check=False,
        )
        if done.returncode:
            raise UnavailableError(f"ip {' '.join(words)}: {done.stderr.strip()}")

    def _end(self) -> None:
        for holder in self._holders:
            holder.kill()
            holder.wait()
            if holder.stderr is not None:
                holder.stderr.close()


def _sleeps(pid: int) -> bool:
    """Whether unshare has become sleep: then the namespace is there to stay."""
    return Path(f"/proc/{pid}/comm").read_text().strip() == "sleep"
