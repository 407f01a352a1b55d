"""A directory whose processes can lose power: run them under the shim, kill them, put the crash image in place.

    watched = WatchedDirectory(data, work, build_shim(work))
    process = Popen(…, env=os.environ | watched.environment())
    …                                   # let it write; kill -9 it
    watched.lose_power(Cut(Loss.UNSYNCED))
    …                                   # start it again on what is left

It must never run while a process writes there.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Iterable
from pathlib import Path

from ops.powerloss.files import Change, Written
from ops.powerloss.image import Account, Cut, Loss, rebuild
from ops.powerloss.journal import JournalError

IGNORED = ("lock.mdb",)  # LMDB's table of readers: shared memory, made anew by the first to open


class WatchedDirectory:
    """`root` is the directory of the test, which exists; `work` is a directory of ours, elsewhere.

    Args:
        root: what the process writes.
        work: for the journals, the state at the start, and images.
        shim: the shared library.
        ignored: names of files that aren't part of an image.
    """

    def __init__(self, root: Path, work: Path, shim: Path, ignored: Iterable[str] = IGNORED) -> None:
        self.root = root.resolve()
        self._work = work.resolve()
        self._shim = shim.resolve()
        self._ignored = tuple(ignored)
        self._base = self._work / "base"
        self._journals = self._work / "journals"
        self.fail_next_sync = self._work / "fail-next-sync"
        if self._work.is_relative_to(self.root):
            raise ValueError(f"{self._work} is inside of {self.root}: its own journal would be watched")
        self._work.mkdir(parents=True, exist_ok=True)
        self.begin()

    def begin(self) -> None:
        """What is in the directory now is durable; the journal starts anew."""
        for folder in (self._base, self._journals):
            if folder.exists():
                shutil.rmtree(folder)
        shutil.copytree(self.root, self._base, ignore=shutil.ignore_patterns(*self._ignored))
        self._journals.mkdir()

    def environment(self, lie: bool = False, sync_ms: int = 0) -> dict[str, str]:
        """Variables for the process.

        Args:
            lie: every sync says yes and makes nothing durable.
            sync_ms: how long each sync takes at least; a slow disk is killed in the middle of one more often.
        """
        return {
            "LD_PRELOAD": str(self._shim),
            "WAYSTATION_POWERLOSS_ROOT": str(self.root),
            "WAYSTATION_POWERLOSS_JOURNAL": str(self._journals),
            "WAYSTATION_POWERLOSS_IGNORE": ":".join(self._ignored),
            "WAYSTATION_POWERLOSS_LIE": "1" if lie else "0",
            "WAYSTATION_POWERLOSS_SYNC_MS": str(sync_ms),
            "WAYSTATION_POWERLOSS_FAIL": str(self.fail_next_sync),
        }

    def image(self, cut: Cut, target: Path) -> Account:
        """Write an image to `target` and leave the directory as it is. The process is dead by now.

        Raises:
            JournalError: the shim wasn't loaded, or didn't see all that was written.
        """
        return rebuild(self.root, self._base, self._journals, cut, target, self._work / "scratch")

    def lose_power(self, cut: Cut | None = None) -> Account:
        """The power fails: the directory becomes what a disk would hold. Proves first that the journal is whole.

        Raises:
            JournalError: the shim wasn't loaded, or didn't see all that was written.
        """
        self.prove()
        image = self._work / "image"
        account = self.image(cut or Cut(), image)
        for each in self.root.iterdir():
            if each.is_dir():
                shutil.rmtree(each)
            else:
                each.unlink()
        for each in image.iterdir():
            shutil.move(each, self.root / each.name)
        image.rmdir()
        self.begin()
        return account

    def prove(self) -> Account:
        """The journal played without any loss gives the directory as it is, or it proves nothing.

        Raises:
            JournalError: it doesn't.
        """
        if not any(self._journals.iterdir()):
            raise JournalError("no process wrote a journal: was the shim loaded?")
        whole = self._work / "whole"
        account = self.image(Cut(Loss.NOTHING), whole)
        try:
            here, there = self._files(self.root), self._files(whole)
            if wrong := sorted((here ^ there) - account.in_flight.keys()):
                raise JournalError(f"the shim didn't see how these came or went: {', '.join(wrong)}")
            for path in sorted(here & there):
                _excuse(account.in_flight.get(path, []), self.root / path, whole / path)
                if not filecmp.cmp(self.root / path, whole / path, shallow=False):
                    raise JournalError(f"the shim didn't see all that was written to {path}")
        finally:
            shutil.rmtree(whole)
        return account

    def _files(self, folder: Path) -> set[str]:
        return {
            str(each.relative_to(folder))
            for each in folder.rglob("*")
            if each.is_file() and each.name not in self._ignored
        }


def _excuse(changes: list[Change], real: Path, played: Path) -> None:
    """A change in which the process was killed may be there in part: take what the real file has of it."""
    if not changes:
        return
    with real.open("rb") as source, played.open("r+b") as target:
        target.truncate(real.stat().st_size)
        for change in changes:
            if isinstance(change, Written):
                source.seek(change.offset)
                target.seek(change.offset)
                target.write(source.read(len(change.data)))
