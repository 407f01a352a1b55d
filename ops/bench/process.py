"""What the kernel says about a process: CPU, memory, I/O. Linux only.

Read from outside, so that the measured process does nothing for it. This module must never know which program
it looks at.
"""

import os
import time
from pathlib import Path
from typing import Final

from attrs import frozen

_CPUCLOCK_SCHED: Final = 2
"""The kind of a CPU-time clock in its id; see CPUCLOCK_SCHED in linux/posix-timers.h."""

_KIB: Final = 1024


class ProcessGoneError(Exception):
    """The process that is measured has ended. Look at its log: it should have lived until the end."""


@frozen
class Memory:
    """Bytes of resident memory.

    Attributes:
        rss: all resident pages, those of mapped files included.
        pss: as `rss`, but a page shared with other processes is counted in parts.
        anonymous: pages that belong to no file: heaps and stacks.
    """

    rss: int
    pss: int
    anonymous: int


@frozen
class Traffic:
    """Bytes since the process began, as /proc/PID/io counts them.

    Attributes:
        read_characters: asked for with read(2) and the like, sockets included.
        written_characters: given to write(2) and the like, sockets included.
        written_to_disk: of the pages that the process made dirty and that go, or went, to a block device.
    """

    read_characters: int
    written_characters: int
    written_to_disk: int


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads, those that ended included, but of no child.

    It is the process's CPU-time clock (clock_getcpuclockid(3)): utime + stime of /proc/PID/stat, in
    nanoseconds instead of ticks.

    Raises:
        ProcessGoneError: the process has ended.
    """
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError as error:
        raise ProcessGoneError(f"process {pid} has ended") from error


def machine_cpu_seconds() -> float:
    """CPU time of everything on this machine since it was started; of its host's other guests, too (steal)."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    user, nice, system, _idle, _wait, interrupts, soft_interrupts, stolen = map(int, words[1:9])
    return (user + nice + system + interrupts + soft_interrupts + stolen) / os.sysconf("SC_CLK_TCK")


def runs(pid: int) -> bool:
    """Whether the process lives; one that has ended and waits to be reaped doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid: int) -> list[int]:
    """Process ids of all descendants that live now."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            pids = [int(word) for word in task.read_text().split()]
        except OSError:
            continue
        for child in pids:
            found.append(child)
            found.extend(children(child))
    return found


def family_cpu_seconds(pid: int) -> float:
    """As `cpu_seconds`, with the living descendants. Time of descendants that have ended is left out."""
    total = cpu_seconds(pid)
    for child in children(pid):
        try:
            total += cpu_seconds(child)
        except ProcessGoneError:
            continue
    return total


def _fields(pid: int, name: str) -> dict[str, int]:
    """`Name:  12 kB` lines of a file in /proc/PID, in bytes where the file says kB.

    Raises:
        ProcessGoneError: the process has ended.
    """
    try:
        text = Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ProcessGoneError(f"process {pid} has ended") from error
    fields: dict[str, int] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        words = value.split()
        if words and words[0].isdigit():
            fields[key] = int(words[0]) * (_KIB if words[-1] == "kB" else 1)
    return fields


def memory(pid: int) -> Memory:
    """Resident memory now, from /proc/PID/smaps_rollup.

    Raises:
        ProcessGoneError: the process has ended.
    """
    fields = _fields(pid, "smaps_rollup")
    if "Rss" not in fields:  # a zombie has no mappings
        raise ProcessGoneError(f"process {pid} has ended")
    return Memory(rss=fields["Rss"], pss=fields["Pss"], anonymous=fields["Anonymous"])


def rss_bytes(pid: int) -> int:
    """Resident memory now, from /proc/PID/status: cheap enough for every second.

    Raises:
        ProcessGoneError: the process has ended.
    """
    return _status(pid, "VmRSS")


def peak_rss_bytes(pid: int) -> int:
    """The most resident memory since the process began (VmHWM).

    Raises:
        ProcessGoneError: the process has ended.
    """
    return _status(pid, "VmHWM")


def _status(pid: int, key: str) -> int:
    try:
        return _fields(pid, "status")[key]
    except KeyError as error:
        raise ProcessGoneError(f"process {pid} has ended") from error


def traffic(pid: int) -> Traffic:
    """I/O since the process began.

    Raises:
        ProcessGoneError: the process has ended.
    """
    fields = _fields(pid, "io")
    return Traffic(
        read_characters=fields["rchar"],
        written_characters=fields["wchar"],
        written_to_disk=fields["write_bytes"] - fields["cancelled_write_bytes"],
    )


def disk_bytes(directory: Path) -> int:
    """Blocks allocated to the files in and below `directory`: holes are not counted."""
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file())
