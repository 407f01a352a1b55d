"""The file system of the data directory: its kind, its room, how long an fsync takes, and when it will be full."""

from __future__ import annotations

import os
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Final

import attrs

from admin.statistics.history import FILE, HistoryReader, HistoryUnreadable
from admin.statistics.layout import MINUTE
from ops.doctor.finding import Finding, bad, good, skipped, warning
from ops.doctor.patient import Patient

ABOUT: Final = "disk"
DATA: Final = "data"
SYNCS: Final = 20
SYNC_BYTES: Final = 4_096
SYNC_MS_WARNING: Final = 20.0
SYNC_MS_BAD: Final = 200.0
FREE_BYTES_BAD: Final = 268_435_456
FREE_SHARE_BAD: Final = 0.03
FREE_SHARE_WARNING: Final = 0.1
INODES_SHARE_BAD: Final = 0.01
DAYS_BAD: Final = 3.0
DAYS_WARNING: Final = 30.0
GROWTH_S_LEAST: Final = 6 * 3_600.0
"""A trend of less time is none."""

_REMOTE: Final = re.compile(
    r"nfs4?|cifs|smb3|smbfs|ceph|9p|afs|glusterfs|lustre|beegfs|fuse\..*|virtiofs|ocfs2|gfs2"
)
_GOES: Final = MappingProxyType(
    {
        "tmpfs": "it is memory, and gone with the machine's next start",
        "ramfs": "it is memory, and gone with the machine's next start",
        "overlay": "it is a container's own layer, and gone with the container",
    }
)
_LOOSE: Final = ("nobarrier", "barrier=0", "data=writeback", "nolog")
_FREE: Final = "system.disk.free_bytes"


@attrs.frozen
class Mount:
    """Where a directory lies: proc_pid_mountinfo(5)."""

    point: str
    kind: str
    options: tuple[str, ...]


def check(patient: Patient) -> Iterator[Finding]:
    yield from _there(patient)
    there = next(path for path in (patient.data, *patient.data.absolute().parents) if path.exists())
    mount = mount_of(there.resolve(), patient.root)
    if mount is None:
        yield skipped(ABOUT, "which file system it is can't be read here")
    else:
        yield from _kind(mount)
    yield from _room(there)
    if not os.access(there, os.W_OK):
        yield bad(
            ABOUT,
            f"this user may not write to {there}",
            "run this as the node's user, or give it the directory",
        )
    else:
        yield from _sync(there)
    yield from _growth(patient)


def _there(patient: Patient) -> Iterator[Finding]:
    """Whether there is such a directory; what is looked at otherwise is the nearest one above."""
    data = patient.data
    if data.is_dir():
        return
    if data.exists():
        yield bad(DATA, f"{data} is no directory", "name the data directory with --data, or in node.data")
    elif patient.named:
        yield warning(
            DATA,
            f"{data} doesn't exist, so no node has run there",
            "look at the name; if it is right, the node's first start makes it",
        )
    else:
        yield skipped(DATA, f"{data} doesn't exist: the node's first start makes it")


def mount_of(path: Path, root: Path) -> Mount | None:
    """The mount that a path lies on: the longest that fits, the last of equal ones."""
    found: Mount | None = None
    try:
        lines = (root / "proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        before, _, after = line.partition(" - ")
        first, last = before.split(), after.split()
        if len(first) < 6 or len(last) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), first[4])
        inside = point == "/" or str(path) == point or str(path).startswith(f"{point}/")
        if inside and (found is None or len(point) >= len(found.point)):
            found = Mount(point, last[0], (*first[5].split(","), *last[2].split(",")))
    return found


def _kind(mount: Mount) -> Iterator[Finding]:
    if _REMOTE.fullmatch(mount.kind):
        yield bad(
            ABOUT,
            f"the data directory is on {mount.kind} ({mount.point}): LMDB needs locks and mappings that are one"
            " machine's own (lmdb.h, caveats)",
            "put it on a file system of this machine: ext4 or xfs",
        )
    elif mount.kind in _GOES:
        yield warning(
            ABOUT,
            f"the data directory is on {mount.kind} ({mount.point}): {_GOES[mount.kind]}",
            "put it on a file system that stays: ext4 or xfs; in a container, a volume",
        )
    else:
        yield good(ABOUT, f"{mount.kind} on {mount.point}")
    loose = [option for option in mount.options if option in _LOOSE]
    if loose:
        yield bad(
            ABOUT,
            f"it is mounted with {', '.join(loose)}: what was synced may be gone after a loss of power",
            f"mount {mount.point} without it",
        )
    if "ro" in mount.options:
        yield bad(
            ABOUT,
            f"{mount.point} is mounted read-only",
            "look for errors of the disk (dmesg), then remount it",
        )


def _room(there: Path) -> Iterator[Finding]:
    system = os.statvfs(there)
    total, free = system.f_blocks * system.f_frsize, system.f_bavail * system.f_frsize
    share = free / (total or 1)
    text = f"{free / (1 << 30):,.1f} GiB are free, {share:.0%}"
    more = "make room, or move the data directory to a larger disk: a node without room answers busy"
    if free < FREE_BYTES_BAD or share < FREE_SHARE_BAD:
        yield bad(ABOUT, text, more)
    elif share < FREE_SHARE_WARNING:
        yield warning(ABOUT, text, more)
    else:
        yield good(ABOUT, text)
    if system.f_files and system.f_favail / system.f_files < INODES_SHARE_BAD:
        yield bad(
            ABOUT,
            f"{system.f_favail:,} of {system.f_files:,} inodes are free",
            "remove files: something keeps very many small ones there",
        )


def _sync(there: Path) -> Iterator[Finding]:
    """A file of its own, written and synced as a commit is."""
    try:
        times = measured_syncs(there)
    except OSError as error:
        yield bad(
            ABOUT, f"nothing can be written to {there}: {error.strerror}", "make room, and look at `dmesg`"
        )
        return
    middle, most = statistics.median(times), max(times)
    text = f"an fsync takes {middle:.2f} ms, {most:.1f} at most of {len(times)}"
    if middle > SYNC_MS_BAD:
        yield bad(ABOUT, text, "take a faster disk, one with a cache that survives a loss of power")
    elif middle > SYNC_MS_WARNING:
        yield warning(
            ABOUT,
            text,
            "take a faster disk; until then a larger mail.sync_delay_ms means fewer and larger commits",
        )
    else:
        yield good(ABOUT, text)


def measured_syncs(there: Path) -> list[float]:
    """In ms. The file has no name, so none can be left behind."""
    times = []
    with tempfile.TemporaryFile(dir=there) as file:
        for number in range(SYNCS):
            began = time.perf_counter()
            os.pwrite(file.fileno(), bytes(SYNC_BYTES), number * SYNC_BYTES)
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return times


def _growth(patient: Patient) -> Iterator[Finding]:
    try:
        with HistoryReader(patient.data / FILE) as reader:
            names = reader.names()
            records = reader.records(MINUTE)
    except HistoryUnreadable:
        yield skipped(ABOUT, "when it will be full can't be told: there is no history yet")
        return
    points = [
        (record.at, value) for record in records if (value := record.by_name(names).get(_FREE)) is not None
    ]
    days = days_left(points)
    if days is None:
        yield skipped(ABOUT, "when it will be full can't be told: the history is too short")
    elif days > DAYS_WARNING:
        yield good(
            ABOUT, f"at this rate it is full in {days:,.0f} days" if days < 3_650 else "it doesn't fill"
        )
    else:
        told = f"at the rate of the last days it is full in {days:.1f} days"
        remedy = "make room in time; `waystation wsar --show disk` shows since when, `store info` what grows"
        yield (bad if days < DAYS_BAD else warning)(ABOUT, told, remedy)


def days_left(points: list[tuple[float, float]]) -> float | None:
    """By a straight line through (time, free bytes), least squares; infinite if it doesn't become less."""
    if len(points) < 2 or points[-1][0] - points[0][0] < GROWTH_S_LEAST:
        return None
    slope = statistics.linear_regression([at for at, _ in points], [free for _, free in points]).slope
    return points[-1][1] / -slope / 86_400 if slope < 0 else float("inf")
