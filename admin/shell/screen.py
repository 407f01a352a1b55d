"""A terminal that is drawn on: whole rows, only those that changed, and keys without Enter. Knows nothing of what is
shown.

The terminal gets another screen and has its own back afterwards, with the lines that were on it.
"""

import os
import select
import sys
import termios
import tty
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Literal, Self

import attrs

Style = Literal["plain", "bold", "dim", "heading", "chosen", "alarm"]

_BEGIN: Final = "\x1b[?1049h\x1b[?25l\x1b[2J"
_END: Final = "\x1b[0m\x1b[?25h\x1b[?1049l"
_LOOKS: Final = ("plain", ""), ("bold", "\x1b[1m"), ("dim", "\x1b[2m"), ("heading", "\x1b[7m")
_MARKS: Final = ("chosen", "\x1b[1;7m"), ("alarm", "\x1b[1;31m")
_KEYS: Final = (
    ("\x1b[A", "up"),
    ("\x1b[B", "down"),
    ("\x1bOA", "up"),
    ("\x1bOB", "down"),
    ("\x1b", "escape"),
    ("\r", "enter"),
    ("\n", "enter"),
    ("\x04", "q"),
)
READ_BYTES: Final = 256


@attrs.frozen
class Row:
    """One line of the screen."""

    text: str
    style: Style = "plain"


def changes(before: Sequence[Row], after: Sequence[Row], width: int) -> str:
    """What makes the screen that shows `before` show `after`; rows that are the same aren't touched."""
    looks = dict((*_LOOKS, *_MARKS))
    found = []
    for place in range(max(len(before), len(after))):
        row = after[place] if place < len(after) else Row("")
        if place < len(before) and before[place] == row:
            continue
        text = row.text[:width].ljust(width) if row.style in ("heading", "chosen") else row.text[:width]
        found.append(f"\x1b[{place + 1};1H{looks[row.style]}{text}\x1b[0m\x1b[K")
    return "".join(found)


def keys_of(text: str) -> list[str]:
    """Names of the keys that a terminal sends so; others are themselves."""
    found = []
    while text:
        for sent, name in _KEYS:
            if text.startswith(sent):
                found.append(name)
                text = text[len(sent) :]
                break
        else:
            found.append(text[0])
            text = text[1:]
    return found


class Screen:
    """A context manager. It takes the terminal of this process as it is given, and gives it back whatever happens."""

    def __init__(self, keyboard: int | None = None, display: int | None = None) -> None:
        self._keyboard = sys.stdin.fileno() if keyboard is None else keyboard
        self._display = sys.stdout.fileno() if display is None else display
        self._before: list[Row] = []
        self._size = (0, 0)

    def __enter__(self) -> Self:
        self._kept = termios.tcgetattr(self._keyboard)
        tty.setcbreak(self._keyboard)
        self._write(_BEGIN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write(_END)
        termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._kept)

    @property
    def size(self) -> tuple[int, int]:
        """Columns, lines."""
        found = os.get_terminal_size(self._display)
        return found.columns, found.lines

    def show(self, rows: Sequence[Row]) -> None:
        """Everything in one write, so that nobody sees half of it."""
        size = self.size
        if size != self._size:
            self._size, self._before = size, []
            self._write("\x1b[2J")
        shown = list(rows)[: size[1]]
        self._write(changes(self._before, shown, size[0]))
        self._before = shown

    def keys(self, wait_s: float) -> list[str]:
        """What was pressed, waiting for the first so long."""
        if not select.select([self._keyboard], [], [], wait_s)[0]:
            return []
        read = os.read(self._keyboard, READ_BYTES)
        return keys_of(read.decode("utf-8", "replace")) if read else ["q"]

    def _write(self, text: str) -> None:
        left = text.encode()
        while left:
            left = left[os.write(self._display, left) :]
