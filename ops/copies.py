"""Whole data directories: tables with what the node is known by, copied out, brought back, and filled from a dump.

A node's own certificate belongs to it as its tables do: phones that trusted it at first sight refuse the node without
it. So does the key of its links: to other nodes it is who has that key. Whatever is made here appears under its name
once it is complete. This module must never know of the terminal.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from node.tables import GROUPS, STORE_DIRECTORY
from node.takeover import refuse_former
from ops.config import CERTIFICATE, KEY
from ops.manifest import Manifest
from replication.zeromq.keys import KEY_FILE
from store import backup as backups
from store import dump as dumps
from store.backup import PARTIAL, Report
from store.directory import MARKER, make_directory
from store.disk import naming_a_full_disk, sync_directory
from store.errors import TargetExists
from store.store import Store

PAIR: Final = (KEY, CERTIFICATE)
"""In the order in which they are written: a certificate without its key is never there."""
IDENTITY_BYTES_MAX: Final = 1024 * 1024
"""Of one of these files, or of the key of the links."""


class CopyRefused(Exception):
    """A copy can't be made or used where it was asked for; the text says why, and what to do."""


def back_up(store: Store, data: Path, target: Path, report: Report) -> Manifest:
    """Make `target` a data directory with the tables of an open store and, if `data` has them, certificate and keys.

    What it consists of is given, and kept beside it.

    Raises:
        CopyRefused, StoreError, OSError: there is no backup then.
    """
    target = target.absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise TargetExists(f"{target} exists")
    partial = target.with_name(target.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)  # what is left of an attempt that was killed
    try:
        make_directory(partial)
        for name, content in _identity(data).items():
            _write(partial / name, content)
        records = backups.backup(store, partial / STORE_DIRECTORY, report)
        manifest = Manifest.of(partial / STORE_DIRECTORY, records, report)
        manifest.write(partial)
        if target.exists():
            target.rmdir()
        partial.rename(target)
        sync_directory(target.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest


def bring_back(source: Path, data: Path, report: Report) -> int:
    """Make the tables, and certificate and keys if there are some, of a data directory from a backup of one.

    A bare copy of the tables (`store.backup`) will do, too. The files must be those that were written when the backup
    was made, every record is read, and what was copied is compared with it. Gives the number of records.

    Raises:
        CopyRefused, ManifestRefused, StoreError, OSError: there are no tables then.
    """
    whole = (source / STORE_DIRECTORY).is_dir()
    refuse_former(source / STORE_DIRECTORY if whole else source)
    identity = _identity(source) if whole else {}
    for name, content in identity.items():
        if (data / name).exists() and (data / name).read_bytes() != content:
            away = f"{CERTIFICATE} and {KEY}" if name in PAIR else name
            raise CopyRefused(
                f"{data / name} exists and isn't the backup's: move {away} away to have the backup's, or restore"
                " into another directory"
            )
    target = data / STORE_DIRECTORY
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise TargetExists(f"{target} exists")
    tables = source / STORE_DIRECTORY if whole else source
    manifest = Manifest.read(source) if whole else None
    if manifest is None:
        manifest = Manifest.of(tables, 0, report)
    else:
        manifest.check(tables, report)
    made = not data.exists()
    written = []
    try:
        make_directory(data)
        for name, content in identity.items():
            if not (data / name).exists():
                written.append(data / name)
                _write(data / name, content)
        # The tables come last: with them the directory is complete.
        records = backups.restore(tables, GROUPS, target, report)
        _compare(manifest, target, records, report)
        return records
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        _unmake(data, made)
        raise


def _compare(manifest: Manifest, target: Path, records: int, report: Report) -> None:
    try:
        manifest.check(target, report)
        if manifest.records not in (0, records):
            raise CopyRefused(
                f"{records} records were read, {manifest.records} were backed up: take another backup"
            )
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def load_dump(source: Path, data: Path, report: Report) -> int:
    """Apply a dump to the tables of a data directory, which are made if there are none. Gives the number of records.

    Raises:
        StoreError, OSError: tables that weren't there aren't there now; of those that were see `store.dump.load`.
    """
    target = data / STORE_DIRECTORY
    refuse_former(target)
    if (target / MARKER).exists() or (target.is_dir() and any(target.iterdir())):
        with Store.open(target, GROUPS, committer="inline") as store:
            return dumps.load(store, source, report)
    made = not data.exists()
    partial = target.with_name(STORE_DIRECTORY + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        make_directory(data)
        with Store.open(partial, GROUPS, committer="inline") as store:
            records = dumps.load(store, source, report)
        if target.exists():
            target.rmdir()
        partial.rename(target)
        sync_directory(data)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        _unmake(data, made)
        raise
    return records


def _identity(data: Path) -> dict[str, bytes]:
    """What there is in a data directory of that by which phones and other nodes know the node.

    A node that was told of another certificate has none of its own; one that has no copies elsewhere has no links.
    """
    pair = [name for name in PAIR if (data / name).is_file()]
    if len(pair) == 1:
        raise CopyRefused(
            f"{data} has {pair[0]} without the other of {CERTIFICATE} and {KEY}: bring that back, or remove it"
        )
    there = [*pair, KEY_FILE] if (data / KEY_FILE).is_file() else pair
    for name in there:
        if (data / name).stat().st_size > IDENTITY_BYTES_MAX:
            raise CopyRefused(
                f"{data / name} is larger than any certificate or key: put the right file there"
            )
    return {name: (data / name).read_bytes() for name in there}


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + PARTIAL)
    part.unlink(missing_ok=True)
    with naming_a_full_disk(path):
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    part.rename(path)
    sync_directory(path.parent)


def _unmake(data: Path, made: bool) -> None:
    """Remove the directory if it was made for this and nothing is in it."""
    if made:
        with suppress(OSError):
            data.rmdir()
