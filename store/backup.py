"""Online backup, and restore. Both block for as long as the disk takes: call them in a thread, or without a loop.

A backup is a store's directory: one compacted image of each group, consistent in itself, taken while others write
(images of two groups are of two moments, seconds apart). It is read back in full before it gets its name. While an
image is taken, LMDB can't reuse pages that commits free, and the original's file may grow by what is written meanwhile.

Ram tables aren't in it. Bodies of messages are: a backup is as secret as the store.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from functools import partial as partial_call
from pathlib import Path
from typing import Final

import attrs

from store.directory import MARKER, Marker, read_marker, write_marker
from store.disk import naming_a_full_disk, sync_directory
from store.environment import Environment
from store.errors import DamagedStore, NoStore, StoreError, TargetExists
from store.schema import Group
from store.store import Store
from store.verify import verify_group

Report = Callable[[str, int, int], None]
"""(what is being done, units done, of about how many)"""

CHUNK_BYTES: Final = 1024 * 1024
PIECE: Final = "data.mdb"
PARTIAL: Final = ".partial"


def no_report(_what: str, _done: int, _total: int) -> None:
    """For callers that show no progress."""


def backup(store: Store, path: str | os.PathLike[str], report: Report = no_report) -> int:
    """Write a backup of an open store to a new directory and read it back; gives the number of records in it.

    Args:
        report: called now and then on this thread.

    Raises:
        TargetExists, DiskFull, DamagedRecord, DamagedStore: there is no backup then.
    """
    target = _target(path)
    partial = _begin(target)
    try:
        for group in store.groups:
            piece = partial / group.name / PIECE
            piece.parent.mkdir(mode=0o700)
            _image(group.state.environment, piece, partial_call(report, f"copy {group.name}"))
        names = [group.name for group in store.groups]
        write_marker(partial, Marker(names, store.added & set(names)))
        records = verify(partial, [group.declaration for group in store.groups], report)
        return _finish(partial, target, records)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def restore(
    source: str | os.PathLike[str],
    groups: Sequence[Group],
    path: str | os.PathLike[str],
    report: Report = no_report,
) -> int:
    """Make a new data directory from a backup, having read it in full; gives the number of records.

    The next open of the directory begins a new incarnation, so peers notice that its past ends where the backup does.

    Raises:
        NoStore, TargetExists, DiskFull, DamagedRecord, DamagedStore, OlderFormat, NewerFormat: nothing was restored.
    """
    origin = Path(source).absolute()
    if not (origin / MARKER).is_file():
        raise NoStore(f"{origin} holds no backup")
    target = _target(path)
    marker = attrs.evolve(read_marker(origin), unfinished=())
    names = marker.groups
    records = verify(origin, [group for group in groups if group.name in names], report, discover=True)
    partial = _begin(target)
    try:
        for name in sorted(names):
            (partial / name).mkdir(mode=0o700)
            _copy(origin / name / PIECE, partial / name / PIECE, partial_call(report, f"copy {name}"))
        write_marker(partial, marker)
        return _finish(partial, target, records)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def verify(
    path: str | os.PathLike[str],
    groups: Sequence[Group],
    report: Report = no_report,
    *,
    discover: bool = False,
) -> int:
    """Read every record of a store that no process has open; gives their number.

    Args:
        discover: also of groups and tables that `groups` doesn't have, as they are declared there.

    Raises:
        DirectoryInUse, NoStore, DamagedRecord, DamagedStore, OlderFormat, NewerFormat, SchemaChanged.
    """
    records = 0
    with Store.open(path, groups, read_only=True, discover=discover, committer="inline") as store:
        for group in store.groups:
            records += verify_group(group, partial_call(report, f"check {group.name}"))
    return records


def _target(path: str | os.PathLike[str]) -> Path:
    target = Path(path).absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise TargetExists(f"{target} exists")
    return target


def _begin(target: Path) -> Path:
    partial = target.with_name(target.name + PARTIAL)
    with naming_a_full_disk(partial):
        shutil.rmtree(partial, ignore_errors=True)  # what is left of an attempt that was killed
        partial.mkdir(mode=0o700, parents=True)
    return partial


def _finish(partial: Path, target: Path, records: int) -> int:
    for leftover in ("lock", *(f"{one.name}/lock.mdb" for one in partial.iterdir() if one.is_dir())):
        (partial / leftover).unlink(missing_ok=True)
    for folder in [*(one for one in partial.iterdir() if one.is_dir()), partial]:
        sync_directory(folder)
    if target.exists():
        target.rmdir()
    partial.rename(target)
    sync_directory(target.parent)
    return records


def _image(environment: Environment, piece: Path, report: Callable[[int, int], None]) -> None:
    """LMDB writes its image into a pipe on another thread, so that this one can count and report."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    failure: list[StoreError] = []

    def produce() -> None:
        try:
            environment.copy(writing)
        except StoreError as error:
            failure.append(error)
        finally:
            os.close(writing)

    producer = threading.Thread(target=produce, name="backup", daemon=True)
    producer.start()
    try:
        with open(reading, "rb", buffering=0) as source:
            _pour(source.read, piece, environment.file_bytes(), report)
    finally:
        producer.join()
    if failure:
        raise failure[0]


def _copy(source: Path, piece: Path, report: Callable[[int, int], None]) -> None:
    with source.open("rb", buffering=0) as file:
        _pour(file.read, piece, source.stat().st_size, report)


def _pour(
    read: Callable[[int], bytes | None], piece: Path, total: int, report: Callable[[int, int], None]
) -> None:
    done = 0
    descriptor = os.open(piece, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with naming_a_full_disk(piece), open(descriptor, "wb") as file:
        while chunk := read(CHUNK_BYTES):
            file.write(chunk)
            done += len(chunk)
            report(done, max(done, total))
        file.flush()
        os.fsync(descriptor)
    if not done:
        raise DamagedStore(f"nothing came to copy to {piece}")
