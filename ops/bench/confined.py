"""A cgroup of one's own with little memory and a slow disk, for processes that a benchmark starts.

Works as root on cgroup v1 and, where the controllers are delegated, on v2. Where neither is there, `Confinement.made`
is false and the benchmark says so in its result.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

ROOT: Final = Path("/sys/fs/cgroup")


@frozen
class Confinement:
    """Folders of the new group, one for each hierarchy it is in."""

    folders: tuple[Path, ...]
    memory: bool
    disk: bool

    def enter(self) -> None:
        """Put this process into it."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(os.getpid()))


@contextmanager
def confined(memory_bytes: int, read_iops: int, path: Path) -> Iterator[Confinement]:
    """Make a group with a limit on memory, and on reads a second from the disk of `path` (0: none)."""
    device = path.stat().st_dev
    # The limit is on whole disks; partitions have the same major number here and minor 0.
    disk = f"{os.major(device)}:{os.minor(device)}"
    folders: list[Path] = []
    memory = slow = False
    try:
        if (ROOT / "memory").is_dir():
            if folder := _make("memory"):
                folders.append(folder)
                memory = _set(folder / "memory.limit_in_bytes", str(memory_bytes))
            if read_iops and (folder := _make("blkio")):
                folders.append(folder)
                slow = _set(folder / "blkio.throttle.read_iops_device", f"{disk} {read_iops}")
        elif folder := _make(""):
            folders.append(folder)
            memory = _set(folder / "memory.max", str(memory_bytes))
            slow = bool(read_iops) and _set(folder / "io.max", f"{disk} riops={read_iops}")
        yield Confinement(tuple(folders), memory, slow)
    finally:
        for folder in folders:
            folder.rmdir()


def _make(hierarchy: str) -> Path | None:
    parent = ""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, where = line.split(":", 2)
        if hierarchy in names.split(","):
            parent = where.strip("/")
    folder = ROOT / hierarchy / parent / f"waystation-bench-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        return None
    return folder


def _set(file: Path, value: str) -> bool:
    try:
        file.write_text(value)
    except OSError:
        return False
    return True
