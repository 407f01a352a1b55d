"""`--output FILE`: a command's result in a file of whoever asks, instead of on the terminal. The node writes nothing.

A profile's stacks become a flame graph or collapsed text, by the file's name; every other result becomes JSON.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from admin.profiling.flame import draw
from admin.shell.plain import to_json

STACKS: Final = "stacks"


class Keeping:
    """One file. It is opened at once, so that nobody waits a minute for a profile that can't be written."""

    def __init__(self, path: str) -> None:
        """Raises OSError."""
        self._path = Path(path)
        with self._path.open("a", encoding="utf-8"):
            pass

    def words(self, words: Sequence[str]) -> Sequence[str]:
        """What is asked: of a profile, the stacks too."""
        if words[0] != "profile" or f"--{STACKS}" in words:
            return words
        return (*words, f"--{STACKS}")

    def keep(self, result: Any) -> Any:
        """Write it; gives what is left to be shown. Raises OSError."""
        if not isinstance(result, Mapping) or STACKS not in result or self._path.suffix == ".json":
            self._path.write_text(to_json(result) + "\n", "utf-8")
            return {"written": str(self._path)}
        lines = result[STACKS]
        if self._path.suffix == ".svg":
            title = f"{result['seconds']:g} s, {result['samples']} samples of each thread"
            self._path.write_text(draw(lines, title), "utf-8")
        else:
            self._path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        return {
            **{name: value for name, value in result.items() if name != STACKS},
            "written": str(self._path),
        }


def kept(path: str, words: Sequence[str]) -> tuple[Callable[[Any], Any], Sequence[str]]:
    """What becomes of a result, and what is asked for it; with no path, it is shown as it is. Raises OSError."""
    if not path:
        return lambda result: result, words
    keeping = Keeping(path)
    return keeping.keep, keeping.words(words)
