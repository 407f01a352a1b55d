"""Backups of a running node: a process of its own reads the store beside the node, so that neither the loop nor its
lock on the interpreter is in it.

What a backup is and how it is checked is that process's part (it is given as a program). This module must never know
what is in a store.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any, Final

import structlog
import trio

log = structlog.get_logger()

LINE_BYTES_MAX: Final = 65_536
"""Of what the process says; more ends it."""
TELL_S: Final = 1.0
"""How often progress is told, at most."""
ERROR_CHARACTERS_MAX: Final = 400


class BackupFailed(Exception):
    """There is no backup. The text says why, and what to do."""


class Backups:
    """Of one node.

    Args:
        program: what to run; it is given the data directory, the backup's path and a rate in MiB/s, says a JSON object
            a line ({"step", "done", "of"}, at the end {"made": …} or {"error": text}), and removes what it has begun
            if it is told to end.
        node: its id, for names.
        wall: seconds since 1970.
    """

    def __init__(self, program: Sequence[str], data: Path, node: str, wall: Callable[[], float]) -> None:
        self._program = tuple(program)
        self._data = data
        self._node = node
        self._wall = wall
        self._busy = False
        self._made = 0
        self._failed = 0
        self._last: Mapping[str, Any] = {}

    async def make(self, folder: Path, rate_mib: int, tell: Callable[[Any], None]) -> dict[str, Any]:
        """Make one below `folder`, under a name of its own: the node's id and the time.

        Args:
            rate_mib: how fast it is copied, at most.
            tell: called with progress.

        Raises:
            BackupFailed
            Cancelled: the process is ended, and nothing is left.
        """
        if self._busy:
            raise BackupFailed("another backup of this node is under way: wait for its end")
        self._busy = True
        try:
            made = await self._make(await self._target(folder), rate_mib, tell)
        except BackupFailed as error:
            self._failed += 1
            log.error("backup_failed", cause=str(error))
            raise
        finally:
            self._busy = False
        self._made += 1
        self._last = made
        log.info("backup_made", **{name: made[name] for name in ("path", "records", "bytes", "seconds")})
        return made

    def statistics(self) -> dict[str, Any]:
        """`last_…`: of the last one that was made; 0 before the first."""
        return {
            "made": self._made,
            "failed": self._failed,
            "running": int(self._busy),
            "last_at": self._last.get("at", 0.0),
            "last_records": self._last.get("records", 0),
            "last_bytes": self._last.get("bytes", 0),
            "last_seconds": self._last.get("seconds", 0.0),
        }

    async def _target(self, folder: Path) -> Path:
        if not folder.is_absolute():
            raise BackupFailed(f"{folder} is relative, and to what is the node's secret: name the whole path")
        try:
            await trio.to_thread.run_sync(_make_folder, folder, self._data)
        except OSError as error:
            raise BackupFailed(
                f"{folder} can't be made: {error.strerror}; make it, or name another"
            ) from None
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._wall()))
        return folder / f"{self._node[:16]}-{stamp}"

    async def _make(self, target: Path, rate_mib: int, tell: Callable[[Any], None]) -> dict[str, Any]:
        began = self._wall()
        said: dict[str, Any] = {}
        told_at = -TELL_S
        async with trio.open_nursery() as nursery:
            process: trio.Process = await nursery.start(self._start, target, rate_mib)
            assert process.stdout is not None
            try:
                async with aclosing(_lines(process.stdout)) as lines:
                    async for line in lines:
                        said = _read(line)
                        if "step" in said and trio.current_time() - told_at >= TELL_S:
                            told_at = trio.current_time()
                            tell(said)
                await process.wait()
            except BackupFailed as error:
                said = {"error": str(error)}
            nursery.cancel_scope.cancel()
        if "made" not in said:
            cause = str(said.get("error", f"its process ended with {process.returncode}"))
            raise BackupFailed(cause[:ERROR_CHARACTERS_MAX])
        return {
            "path": str(target),
            "at": round(began, 3),
            "seconds": round(self._wall() - began, 3),
            **said["made"],
        }

    async def _start(self, target: Path, rate_mib: int, task_status: trio.TaskStatus[trio.Process]) -> None:
        """Runs it until its end; cancelled, it is told to end, and a while later made to."""
        command = [*self._program, str(self._data), str(target), str(rate_mib)]
        await trio.run_process(
            command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, check=False, task_status=task_status
        )


def _make_folder(folder: Path, data: Path) -> None:
    """In a thread. Raises BackupFailed, OSError."""
    if folder.resolve().is_relative_to(data.resolve()):
        raise BackupFailed(f"{folder} is in the node's data directory: name another, on another disk")
    folder.mkdir(mode=0o700, exist_ok=True)


async def _lines(stream: trio.abc.ReceiveStream) -> Any:
    left = bytearray()
    async for chunk in stream:
        left += chunk
        while (end := left.find(b"\n")) >= 0:
            yield bytes(left[:end])
            del left[: end + 1]
        if len(left) > LINE_BYTES_MAX:
            raise BackupFailed("its process says what nobody can read")


def _read(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise BackupFailed("its process says what nobody can read")
    return said
