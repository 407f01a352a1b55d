"""What writes to replicated tables cost two processes, seen from outside: CPU, bytes on the wire, bytes on disk.

The kernel is asked, in the same way for every system. This module must never know who writes, or how.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from attrs import frozen

from ops.bench import process

_SECTOR_BYTES: Final = 512
_SECTORS_WRITTEN: Final = 6
"""Place in /sys/dev/block/*/stat (Documentation/block/stat.rst of Linux)."""

_OWNER: Final = re.compile(r"pid=(\d+)")
_SENT: Final = re.compile(r"bytes_sent:(\d+)")


class Spender(Protocol):
    """Processes whose costs are looked at."""

    directory: Path

    @property
    def pids(self) -> Sequence[int]:
        """Their ids."""
        ...

    def cpu_seconds(self) -> float:
        """CPU time of all of them since the start."""
        ...


@frozen
class Costs:
    """Totals so far, or the difference of two.

    Attributes:
        cpu_seconds: user and system time of all threads.
        wire_bytes: bytes sent on TCP connections that are open, by all the processes, headers left out; None: unknown.
        disk_bytes: bytes written to the disk that the directory is on, whoever wrote them; without a disk of its
            own, those that the kernel charges to the processes.
    """

    cpu_seconds: float
    wire_bytes: int | None
    disk_bytes: int

    @classmethod
    def of(cls, spender: Spender) -> "Costs":
        """The totals now, after everything that was written has gone to disk."""
        os.sync()
        return cls(
            cpu_seconds=spender.cpu_seconds(),
            wire_bytes=_sent_bytes(spender.pids),
            disk_bytes=_disk_bytes(spender),
        )

    def since(self, before: "Costs") -> "Costs":
        """What was spent since."""
        wire = None
        if self.wire_bytes is not None and before.wire_bytes is not None:
            wire = self.wire_bytes - before.wire_bytes
        return Costs(
            cpu_seconds=self.cpu_seconds - before.cpu_seconds,
            wire_bytes=wire,
            disk_bytes=self.disk_bytes - before.disk_bytes,
        )


def disk_of(path: Path) -> Path | None:
    """Where the kernel counts for the block device that `path` is on; None: it has none."""
    device = path.stat().st_dev
    found = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    return found if found.exists() else None


def _disk_bytes(spender: Spender) -> int:
    counted = disk_of(spender.directory)
    if counted is not None:
        return int(counted.read_text().split()[_SECTORS_WRITTEN]) * _SECTOR_BYTES
    return sum(process.traffic(pid).written_to_disk for pid in spender.pids)


def _sent_bytes(pids: Sequence[int]) -> int | None:
    command = shutil.which("ss") or shutil.which("ss", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if command is None:
        return None
    listed = subprocess.run(
        [command, "-tinpH", "state", "established"], stdout=subprocess.PIPE, text=True, check=False
    )
    return sent_bytes_in(listed.stdout, pids) if listed.returncode == 0 else None


def sent_bytes_in(listing: str, pids: Sequence[int]) -> int:
    """The bytes sent by sockets of these processes, from a listing of ss(8): two lines for each socket."""
    wanted, total, mine = {str(pid) for pid in pids}, 0, False
    for line in listing.splitlines():
        if not line[:1].isspace():
            mine = not wanted.isdisjoint(_OWNER.findall(line))
        elif mine and (found := _SENT.search(line)):
            total += int(found[1])
    return total
