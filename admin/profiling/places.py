"""Functions as people name them: the file as it is imported, and the function in it. Knows no samples."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import CodeType


class Places:
    """Names of code objects, each worked out once. Made for one look, and thrown away with it."""

    __slots__ = ("_known", "_roots")

    def __init__(self, roots: Sequence[str] | None = None) -> None:
        found = sys.path if roots is None else roots
        self._roots = sorted((f"{one.rstrip('/')}/" for one in found if one), key=len, reverse=True)
        self._known: dict[CodeType, str] = {}

    def of(self, code: CodeType) -> str:
        """`node/hub/hub.py:Hub.turn`."""
        name = self._known.get(code)
        if name is None:
            name = self._known[code] = f"{self.file(code)}:{code.co_qualname}"
        return name

    def at(self, code: CodeType, line: int) -> str:
        """`node/hub/hub.py:241 Hub._sleep`."""
        return f"{self.file(code)}:{line} {code.co_qualname}"

    def file(self, code: CodeType) -> str:
        """Where it is written."""
        return self.short(code.co_filename)

    def short(self, path: str) -> str:
        """A file without the folder that it is imported from."""
        return next((path[len(root) :] for root in self._roots if path.startswith(root)), path)
