"""The lines of former shells, in a file of bounded length that only its owner can read."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from prompt_toolkit.history import History

LINES_MAX: Final = 1_000
"""Lines that are offered. The file is cut to so many when it has twice as many."""
FILE_BYTES_MAX: Final = 8_388_608


def history_path(environment: dict[str, str]) -> Path:
    """Where it is: XDG Base Directory Specification, state."""
    base = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "waystation" / "shell-history"


class LineHistory(History):
    """`secret`: whether a line must not be kept. What can't be written is not kept, and nothing else happens."""

    def __init__(self, path: Path, secret: Callable[[str], bool]) -> None:
        super().__init__()
        self._path = path
        self._secret = secret

    def load_history_strings(self) -> Iterable[str]:
        """The newest first."""
        return reversed(self._read()[-LINES_MAX:])

    def store_string(self, string: str) -> None:
        if self._secret(string):
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lines = self._read()
            if len(lines) >= 2 * LINES_MAX:
                self._write(lines[-LINES_MAX:], os.O_TRUNC)
            self._write([string], os.O_APPEND)
        except OSError:
            return

    def _write(self, lines: Iterable[str], how: int) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(line)}\n" for line in lines)

    def _read(self) -> list[str]:
        found = []
        try:
            with self._path.open("rb") as file:
                content = file.read(FILE_BYTES_MAX)
        except OSError:
            return []
        for line in content.decode("utf-8", "replace").splitlines():
            try:
                value = json.loads(line)
            except ValueError:
                continue  # cut off by a full disk, or not ours
            if isinstance(value, str):
                found.append(value)
        return found
