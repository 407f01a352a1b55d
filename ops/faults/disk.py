"""A small disk that can be full and free again: a tmpfs of ours, mounted for one test.

It must never touch a file that it didn't make.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ops.faults.unavailable import UnavailableError

_BALLAST: Final = ".ballast"
_CHUNKS: Final = (1 << 20, 1 << 16, 4096, 512)
_SECONDS_MAX: Final = 30


class SmallDisk:
    """`size` bytes mounted at `place`, while it is entered.

    Raises:
        UnavailableError: not root, or mounting isn't allowed here.
    """

    def __init__(self, place: Path, size: int) -> None:
        if os.geteuid() != 0 or shutil.which("mount") is None:
            raise UnavailableError("a small disk needs root and mount(8)")
        self.place = place
        self._size = size

    def __enter__(self) -> Self:
        assert not os.path.ismount(self.place), "entered twice: it would be left mounted"
        self.place.mkdir(parents=True, exist_ok=True)
        options = f"size={self._size},mode=0700"
        done = _run("mount", "-t", "tmpfs", "-o", options, "waystation-test", str(self.place))
        if done.returncode:
            raise UnavailableError(f"a tmpfs can't be mounted here: {done.stderr.strip()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _run("umount", "--lazy", str(self.place))

    def fill(self, leave: int = 0) -> None:
        """Take the space that is left, but for `leave` bytes."""
        with (self.place / _BALLAST).open("ab", buffering=0) as ballast:
            for chunk in _CHUNKS:
                while self.free_bytes() >= leave + chunk:
                    try:
                        ballast.write(bytes(chunk))
                    except OSError as error:
                        if error.errno != errno.ENOSPC:
                            raise
                        break

    def free(self) -> None:
        """Give it back."""
        (self.place / _BALLAST).unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """What is left."""
        status = os.statvfs(self.place)
        return status.f_bavail * status.f_frsize


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, timeout=_SECONDS_MAX, check=False
    )
