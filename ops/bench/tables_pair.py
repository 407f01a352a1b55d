"""Two processes that hold the same tables, seen from outside: started one by one, asked, always both stopped.

This module must never know which system they run, nor what it is compared with.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from ops.bench.tables_process import Obeying

_READY_SECONDS_MAX: Final = 60.0
_ORDER_SECONDS_MAX: Final = 3_600.0


class Pair:
    """The first one writes. As a context manager it is stopped at the end.

    Attributes:
        directory: each node's is in it, under its name.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._nodes: list[Obeying] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of those that run."""
        return tuple(node.pid for node in self._nodes)

    def cpu_seconds(self) -> float:
        """CPU time of them since their start."""
        return sum(node.cpu_seconds() for node in self._nodes)

    def stop(self) -> None:
        """End both."""
        while self._nodes:
            self._nodes.pop().stop()

    def _join(
        self, name: str, command: Sequence[str], directory: Path, environment: Mapping[str, str]
    ) -> dict[str, Any]:
        """Start the next one; gives what it says first. Raises TableNodeError."""
        node = Obeying.start(name, command, directory, environment=environment)
        self._nodes.append(node)
        return node.answer(_READY_SECONDS_MAX)

    def _ask(self, place: int, order: str) -> dict[str, Any]:
        """Raises TableNodeError."""
        return self._nodes[place].ask(order, _ORDER_SECONDS_MAX)
