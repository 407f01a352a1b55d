"""How much memory this process may use, and how much of it one group of a store may take to be its own.

A control group (a container, a service with a limit) may allow less than the machine has, and page cache counts
against it: https://docs.kernel.org/admin-guide/cgroup-v2.html#memory, and cgroup-v1/memory.html beside it. This module
must never know what is kept in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

WARM_SHARE: Final = 2
"""The groups of a store together take one part in so many of the memory: the rest is the process's own."""

ROOT: Final = Path("/")


def warm_bytes_for(groups: int, root: Path = ROOT) -> int:
    """What each of so many groups may take to stay in memory, by the limit that holds now; at least 1."""
    assert groups >= 1
    return max(1, memory_limit(root) // WARM_SHARE // groups)


def memory_limit(root: Path = ROOT) -> int:
    """Bytes: the machine's memory, or the lowest limit of a control group (v2 or v1) around this process.

    0 if the kernel says neither: then nothing is surely in memory.

    Args:
        root: where /proc and /sys are; tests bring their own.
    """
    limits = [*_machine(root), *_control_groups(root)]
    return min(limits, default=0)


def _machine(root: Path) -> list[int]:
    for line in _lines(root / "proc/meminfo"):
        name, _, value = line.partition(":")
        if name == "MemTotal":
            return [int(value.split()[0]) * 1024]
    return []


def _control_groups(root: Path) -> list[int]:
    mounted = root / "sys/fs/cgroup"
    limits: list[int] = []
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            limits += _limits_above(mounted, path, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits_above(mounted / "memory", path, "memory.limit_in_bytes")
    return limits


def _limits_above(mounted: Path, path: str, file: str) -> list[int]:
    # Each level limits those below it. In a container the path may be the host's: then only the top is there.
    parts = [part for part in path.split("/") if part]
    limits: list[int] = []
    for depth in range(len(parts) + 1):
        said = _lines(mounted.joinpath(*parts[:depth], file))
        limits += [int(line) for line in said if line.isdigit()]  # else "max"
    return limits


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
