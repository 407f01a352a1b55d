"""What a person sees while a benchmark runs and when it is done.

Progress goes to stderr and only to a terminal; results go to stdout, as a table or as one JSON object. This
module must never know what a number means.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


class Screen:
    """Progress of one command: phases with a bar each."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._shown = self._console.is_terminal

    @contextmanager
    def phase(self, text: str, total: float) -> Iterator["Phase"]:
        """A bar for the length of the block; without a terminal nothing is shown."""
        if not self._shown:
            yield Phase(None, None)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
        with Progress(*columns, TimeElapsedColumn(), console=self._console, transient=True) as progress:
            yield Phase(progress, progress.add_task(text, total=total, note=""))

    def warn(self, text: str) -> None:
        """A line that stays, on a terminal or not."""
        self._console.print(f"[yellow]warning:[/yellow] {text}", soft_wrap=True)


class Phase:
    """One bar."""

    def __init__(self, progress: Progress | None, task: Any) -> None:
        self._progress = progress
        self._task = task

    def show(self, done: float, note: str = "") -> None:
        """Move the bar to `done`."""
        if self._progress is not None:
            self._progress.update(self._task, completed=done, note=note)


def print_result(result: Mapping[str, Any], *, as_json: bool) -> None:
    """The result on stdout."""
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()
        return
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in _rows(result, ""):
        table.add_row(name, value)
    Console().print(table)


def _rows(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _rows(value, f"{prefix}{name}.")
        elif isinstance(value, float):
            yield prefix + name, f"{value:,.3f}" if abs(value) < 100 else f"{value:,.0f}"
        elif isinstance(value, int) and not isinstance(value, bool):
            yield prefix + name, f"{value:,}"
        elif isinstance(value, list):
            if name != "runs":
                yield prefix + name, "\n".join(map(str, value)) if value else "none"
        else:
            yield prefix + name, "—" if value is None else str(value)
