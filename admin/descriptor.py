"""An open file by its descriptor, owned by an object: closed once, and by a `with` statement."""

import os
from types import TracebackType
from typing import Self


class Descriptor:
    """A base for who owns one. `_fd`: -1 once it is closed, or where there is none."""

    __slots__ = ("_fd",)

    _fd: int

    def close(self) -> None:
        """At once. Twice is once."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
