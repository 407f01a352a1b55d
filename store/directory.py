"""The data directory itself: a marker file that says what it is, and a lock that says whose it is.

    <path>/waystation-store   format and groups, in TOML; written last when a store is made
    <path>/lock               flock(2) held for as long as the store is open
    <path>/<group>/data.mdb   one LMDB environment per group (lock.mdb beside it is LMDB's)

A group that is made or dropped at run time is `unfinished` in the marker meanwhile: whatever is in its directory then
is nothing, and the next open takes it away.

This module must never open an environment.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tomllib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final

import attrs

from store.disk import naming_a_full_disk, sync_directory
from store.errors import DamagedStore, DirectoryInUse, ForeignDirectory, NewerFormat, NoStore, OlderFormat
from store.limits import FORMAT
from store.schema import Group

MARKER: Final = "waystation-store"
LOCK: Final = "lock"
_IGNORED: Final = frozenset({LOCK, "lost+found", MARKER + ".partial"})


def _names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


@attrs.frozen(slots=True)
class Marker:
    """What the marker file says.

    Args:
        groups: those that are there.
        added: those of them that were made at run time: the code needn't declare them.
        unfinished: what is in the directories of these is to be taken away.
    """

    groups: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    added: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    unfinished: frozenset[str] = attrs.field(default=frozenset(), converter=_names)


class Directory:
    """A data directory that this process holds, until `close`; or looks at beside the process that holds it.

    Args:
        path: made if it doesn't exist, unless `existing`.
        existing: a store must be there already (read-only open, backup, verification).
        beside: don't ask whose it is. For reading only: LMDB lets other processes read while one writes.

    Raises:
        DirectoryInUse, ForeignDirectory, NoStore, OlderFormat, NewerFormat, DamagedStore.
    """

    __slots__ = ("_lock", "marker", "path")

    def __init__(self, path: str | os.PathLike[str], *, existing: bool = False, beside: bool = False) -> None:
        assert existing or not beside
        self.path = Path(path).absolute()
        if existing and not (self.path / MARKER).is_file():
            raise NoStore(f"{self.path} holds no store")
        refuse_foreign(self.path)
        if beside:
            self._lock = -1
            self.marker = read_marker(self.path)
            return
        with naming_a_full_disk(self.path):
            if not existing:
                make_directory(self.path)
            self._lock = _open_lock(self.path / LOCK, existing=existing)
        try:
            try:
                if self._lock >= 0:
                    fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DirectoryInUse(f"another process holds {self.path}") from None
            refuse_foreign(self.path)
            self.marker = read_marker(self.path) if (self.path / MARKER).exists() else Marker()
        except BaseException:
            self.close()
            raise

    @property
    def groups(self) -> frozenset[str]:
        """The groups that the marker names."""
        return self.marker.groups

    def those_there_first(self, groups: Sequence[Group]) -> list[Group]:
        """The order to open them in: nothing is made before all that is there was looked at."""
        return sorted(groups, key=lambda group: not self._is_there(group.name))

    def refuse_missing(self, group: str, *, beside: bool) -> None:
        """Raise DamagedStore if the group's file isn't there and must have been.

        That is: if the marker says that it was made, or if there is no marker although a group beside it was written
        to. The first open writes the marker before anything is committed, so a store without one has only new groups.
        """
        if self._is_there(group):
            return
        if group in self.groups:
            raise DamagedStore(f"{self.path / group}/data.mdb is gone")
        if beside and not self.groups:
            raise DamagedStore(f"{self.path / MARKER} is gone, and so is {self.path / group}/data.mdb")

    def _is_there(self, group: str) -> bool:
        # An empty file is an open that died as LMDB made it; where the marker names it, the environment refuses it.
        data = self.path / group / "data.mdb"
        return data.exists() and (group in self.groups or data.stat().st_size > 0)

    def refuse_unnamed(self, opened: Collection[str]) -> None:
        """Raise DamagedStore if there is no marker and a group is there that nobody opened: it may be one of ours."""
        if self.groups:
            return
        for entry in sorted(self.path.iterdir()):
            data = entry / "data.mdb"
            if entry.name not in opened and data.exists() and data.stat().st_size:
                raise DamagedStore(
                    f"{self.path / MARKER} is gone, and {entry} is of a group that isn't declared"
                )

    def mark(self, groups: Iterable[str]) -> None:
        """Write down, durably, that these groups are there. Called once they are."""
        together = self.groups | frozenset(groups)
        if together != self.groups:
            self.write(attrs.evolve(self.marker, groups=together))

    def begin(self, group: str) -> None:
        """A group is about to be made at run time."""
        self.write(attrs.evolve(self.marker, unfinished=self.marker.unfinished | {group}))

    def finish(self, group: str) -> None:
        """It is made: from now on it is there."""
        marker = self.marker
        self.write(Marker(marker.groups | {group}, marker.added | {group}, marker.unfinished - {group}))

    def condemn(self, group: str) -> None:
        """A group is dropped: from now on it isn't there."""
        marker = self.marker
        self.write(Marker(marker.groups - {group}, marker.added - {group}, marker.unfinished | {group}))

    def clear(self) -> None:
        """Take away what is in the directories of unfinished groups, and forget them."""
        marker = self.marker
        if marker.unfinished:
            for group in marker.unfinished:
                self.remove(group)
            self.write(attrs.evolve(marker, unfinished=()))

    def write(self, marker: Marker) -> None:
        """Make the marker durable, all or nothing."""
        write_marker(self.path, marker)
        self.marker = marker

    def remove(self, group: str) -> None:
        """Take a group's directory away."""
        path = self.path / group
        if path.exists():
            shutil.rmtree(path)
            sync_directory(self.path)

    def close(self) -> None:
        """Give the directory free."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def refuse_foreign(path: Path) -> None:
    """Raise ForeignDirectory if there is something in `path` that no store put there."""
    if not path.exists():
        return
    if not path.is_dir():
        raise ForeignDirectory(f"{path} is a file")
    if (path / MARKER).exists():
        return
    for entry in path.iterdir():
        # A group's folder without the marker: the first open died halfway, which is fine if that is all there is.
        if entry.name not in _IGNORED and not _half_made(entry):
            raise ForeignDirectory(f"{path} has {entry.name!r} in it and no marker of a store")


def read_marker(path: Path) -> Marker:
    """What the marker of the store in `path` says, if this release can read it."""
    try:
        marker = tomllib.loads((path / MARKER).read_text())
        version = int(marker["format"])
        found = Marker(*(map(str, marker.get(name, ())) for name in ("groups", "added", "unfinished")))
        if "groups" not in marker:
            raise KeyError("groups")
    except (ValueError, KeyError, TypeError):
        raise DamagedStore(f"{path / MARKER} can't be read") from None
    refuse_format(version, str(path))
    return found


def write_marker(path: Path, marker: Marker) -> None:
    """Put the marker there, all or nothing."""
    for group in marker.groups:  # LMDB never syncs the name of the file that it made
        sync_directory(path / group)
    partial = path / (MARKER + ".partial")
    with naming_a_full_disk(partial):
        with partial.open("w") as file:
            file.write(
                f"# A store of Waystation. Don't touch the files beside this one.\nformat = {FORMAT}\n"
            )
            for name in ("groups", "added", "unfinished"):
                groups = sorted(getattr(marker, name))
                if groups or name == "groups":
                    quoted = ", ".join(f'"{group}"' for group in groups)
                    file.write(f"{name} = [{quoted}]\n")
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path / MARKER)
    sync_directory(path)
    sync_directory(path.parent)


def refuse_format(found: int, where: str) -> None:
    """Raise unless `found` is the format of this release."""
    if found < FORMAT:
        raise OlderFormat(f"{where} has format {found}; this release reads {FORMAT}")
    if found > FORMAT:
        raise NewerFormat(f"{where} has format {found}; this release reads {FORMAT}")


def make_directory(path: Path) -> None:
    """Make a directory and those above it, so that their names survive power loss."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in missing:
        sync_directory(each.parent)


def _open_lock(path: Path, *, existing: bool) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if existing and error.errno == errno.EROFS:
            return -1  # a backup on a read-only medium: nobody can write there
        raise


def _half_made(entry: Path) -> bool:
    """A group's folder of a store that was never finished (its own check for foreign content comes at open)."""
    return (
        entry.is_dir()
        and entry.name.isidentifier()
        and {one.name for one in entry.iterdir()} <= {"data.mdb", "lock.mdb"}
    )
