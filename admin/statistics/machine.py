"""What the operating system says of this process and its machine, from /proc, /sys and a few system calls.

Blocking reads, so it is read in a thread; the loop only asks for what a thread can't know (`loop`). A figure that this
kernel doesn't have is left out. See proc(5); TCP's counters: RFC 4022 and the kernel's snmp_counter.rst.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from store.memory import ROOT, memory_limit

SECTOR_BYTES: Final = 512
"""In the kernel's block statistics, whatever the device's own sectors are (Documentation/block/stat.rst)."""

FILE_BYTES_MAX: Final = 65_536
"""Files of /proc are shorter, and given whole to one read that has room."""

COUNT_EVERY_S: Final = 60.0
"""How often open descriptors are counted where the kernel doesn't, before Linux 6.2."""
COUNTED_AT_ONCE: Final = 20_000
"""Of these in one read: a million would take a second, and others wait for the interpreter meanwhile."""

_SNMP: Final = MappingProxyType(
    {
        "InSegs": "in_segments",
        "OutSegs": "out_segments",
        "RetransSegs": "retransmitted",
        "InErrs": "in_errors",
        "OutRsts": "resets_sent",
        "AttemptFails": "failed_attempts",
        "EstabResets": "resets_received",
        "CurrEstab": "established",
    }
)
_NETSTAT: Final = MappingProxyType(
    {"ListenOverflows": "listen_overflows", "ListenDrops": "listen_drops", "TCPTimeouts": "timeouts"}
)
_SOCKSTAT: Final = MappingProxyType({"inuse": "sockets", "orphan": "orphans", "tw": "time_wait"})


class Machine:
    """Reads on behalf of one process. `read` from one thread at a time.

    Args:
        data: the data directory, whose file system and device are looked at.
        root: where /proc and /sys are; tests bring their own.
    """

    __slots__ = (
        "_block",
        "_clock",
        "_count_at",
        "_counted",
        "_data",
        "_listing",
        "_loop_clock",
        "_memory_max",
        "_open",
        "_page_bytes",
        "_proc",
        "_sys",
    )

    def __init__(self, data: Path, root: Path = ROOT, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._listing: Iterator[os.DirEntry[str]] | None = None
        self._counted = 0
        self._count_at = -math.inf
        self._open: int | None = None
        self._data = data
        self._proc = root / "proc"
        self._sys = root / "sys"
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._block = self._device()
        self._memory_max = memory_limit(root)
        self._loop_clock = time.pthread_getcpuclockid(threading.get_ident())

    def _device(self) -> Path | None:
        """Where the kernel counts for the device of the data directory; None if it has none of its own."""
        try:
            device = self._data.stat().st_dev
        except OSError:
            return None
        path = self._sys / "dev" / "block" / f"{os.major(device)}:{os.minor(device)}" / "stat"
        return path if path.is_file() else None

    def _text(self, name: str) -> str:
        try:
            fd = os.open(f"{self._proc}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return ""
        try:
            return os.read(fd, FILE_BYTES_MAX).decode("ascii", "replace")
        except OSError:
            return ""
        finally:
            os.close(fd)

    def read(self) -> dict[str, Any]:
        """All figures, nested as `statistics()` are."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "cpu": {
                "user_seconds": usage.ru_utime,
                "system_seconds": usage.ru_stime,
                "loop_seconds": time.clock_gettime(self._loop_clock),
            },
            "switches": {"voluntary": usage.ru_nvcsw, "involuntary": usage.ru_nivcsw},
            "faults": {"minor": usage.ru_minflt, "major": usage.ru_majflt},
            "memory": self._memory(),
            "threads": threading.active_count(),
            "descriptors": self._descriptors(),
            "io": self._io(),
            "tcp": self._tcp(),
            "disk": self._disk(),
            **self._load(),
        }

    def _memory(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        words = self._text("self/statm").split()
        if len(words) > 1:
            found["resident_bytes"] = int(words[1]) * self._page_bytes
        if self._memory_max:
            found["limit_bytes"] = self._memory_max
            if "resident_bytes" in found:
                found["share"] = round(found["resident_bytes"] / self._memory_max, 4)
        _, _, after = self._text("meminfo").partition("MemAvailable:")
        if after:
            found["available_bytes"] = int(after.split(None, 1)[0]) * 1024
        return found

    def _descriptors(self) -> dict[str, Any]:
        found: dict[str, Any] = {"max": resource.getrlimit(resource.RLIMIT_NOFILE)[0]}
        with contextlib.suppress(OSError):
            # Since Linux 6.2 the directory's size is the count; to list a million of them would take a second.
            size = (self._proc / "self" / "fd").stat().st_size
            count = size or self._count_descriptors()
            if count is not None:
                found["open"] = count
        return found

    def _count_descriptors(self) -> int | None:
        """As many as there were at the last count, which goes on over several reads if there are many."""
        if self._listing is None:
            now = self._clock()
            if now < self._count_at + COUNT_EVERY_S:
                return self._open
            self._count_at, self._counted = now, 0
            self._listing = os.scandir(self._proc / "self" / "fd")
        some = sum(1 for _ in islice(self._listing, COUNTED_AT_ONCE))
        self._counted += some
        if some < COUNTED_AT_ONCE:
            self._listing = None
            self._open = self._counted - 1  # one was the directory's own
        return self._open

    def _io(self) -> dict[str, int]:
        found = dict(_pairs(self._text("self/io")))
        return {name: found[name] for name in ("read_bytes", "write_bytes") if name in found}

    def _tcp(self) -> dict[str, int]:
        found = {
            **_named(self._text("net/snmp"), "Tcp", _SNMP),
            **_named(self._text("net/netstat"), "TcpExt", _NETSTAT),
        }
        for line in self._text("net/sockstat").splitlines():
            if line.startswith("TCP: "):
                words = line.split()[1:]
                counts = dict(zip(words[::2], map(int, words[1::2]), strict=True))
                found |= {ours: counts[theirs] for theirs, ours in _SOCKSTAT.items() if theirs in counts}
                found["memory_bytes"] = counts.get("mem", 0) * self._page_bytes
        return found

    def _disk(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        with contextlib.suppress(OSError):
            system = os.statvfs(self._data)
            total, free = system.f_blocks * system.f_frsize, system.f_bavail * system.f_frsize
            found |= {"free_bytes": free, "total_bytes": total, "free_share": round(free / (total or 1), 4)}
        if self._block is not None:
            with contextlib.suppress(OSError, ValueError, IndexError):
                words = list(map(int, self._block.read_text().split()))
                found |= {
                    "reads": words[0],
                    "read_bytes": words[2] * SECTOR_BYTES,
                    "writes": words[4],
                    "written_bytes": words[6] * SECTOR_BYTES,
                    "in_flight": words[8],
                    "busy_seconds": words[9] / 1000,
                }
        return found

    def _load(self) -> dict[str, float]:
        words = self._text("loadavg").split()
        return {"load_1m": float(words[0])} if words else {}


def _pairs(text: str) -> list[tuple[str, int]]:
    """Lines of `name: number`."""
    split = (line.split(": ") for line in text.splitlines() if ": " in line)
    return [(name, int(number)) for name, number in split]


def _named(text: str, protocol: str, wanted: Mapping[str, str]) -> dict[str, int]:
    """Counters that stand in two lines, names above numbers: /proc/net/snmp and netstat."""
    lines = [line.split() for line in text.splitlines() if line.startswith(f"{protocol}:")]
    if len(lines) < 2 or len(lines[0]) != len(lines[1]):
        return {}
    names, counts = lines
    return {ours: int(counts[names.index(theirs)]) for theirs, ours in wanted.items() if theirs in names}
