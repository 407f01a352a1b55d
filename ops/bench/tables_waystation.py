"""Two Waystation nodes with the same replicated tables, for `bench tables`: started, told what to write, stopped.

Each is a process that runs `ops.bench.tables_node`: the store and replication, without phones. This module must never
know what it is compared with.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, Final, Self

from ops.bench.node_process import free_ports
from ops.bench.tables_plan import Contents, Load, load_fields
from ops.bench.tables_process import Obeying, TableNodeError

_ROOT: Final = Path(__file__).resolve().parents[2]
_READY_SECONDS_MAX: Final = 60.0
_ORDER_SECONDS_MAX: Final = 3_600.0
_NAMES: Final = ("a", "b")


class WaystationPair:
    """Two nodes with the same tables. The first one writes. As a context manager it is stopped at the end."""

    name = "waystation"

    def __init__(self, directory: Path, tables: int, storage: str) -> None:
        self.directory = directory
        self._tables = tables
        self._storage = storage
        self._ports = free_ports(2)
        self._keys: dict[str, str] = {}
        self._nodes: list[Obeying] = []

    @classmethod
    def start(cls, directory: Path, tables: int, *, storage: str = "disc") -> Self:
        """Start both and wait until the second one has live copies.

        Raises:
            TableNodeError: one didn't start.
        """
        pair = cls(directory, tables, storage)
        try:
            directory.mkdir(parents=True)
            for place in range(2):
                pair._nodes.append(pair._node(place))
            for place in range(2):
                pair._ask(place, pair._opening())
            pair._ask(0, {"do": "complete"})
        except BaseException:
            pair.stop()
            raise
        return pair

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of both."""
        return tuple(node.pid for node in self._nodes)

    def cpu_seconds(self) -> float:
        """CPU time of both since the start."""
        return sum(node.cpu_seconds() for node in self._nodes)

    def run(self, load: Load) -> dict[str, Any]:
        """Make the writes of one phase; return when both nodes have all of them on disk.

        Returns:
            issued_seconds: until the last writer had ended; seconds: until all was settled, too.
            latencies: (bucket, count) pairs of `ops.bench.latency`; empty for `fill` and `async`.
        """
        result = self._ask(0, {"do": "write", "load": load_fields(load)})
        if len(self._nodes) == 2 and result["single"]:
            raise TableNodeError(f"{result['single']} writes were settled on one node only")
        return result

    def tidy(self) -> float:
        """Nothing is put off: 0 seconds."""
        return 0.0

    def contents(self) -> list[Contents]:
        """What each node holds."""
        return [Contents(**self._ask(place, {"do": "contents"})) for place in range(len(self._nodes))]

    def leave(self) -> None:
        """Stop the second node, gently."""
        self._ask(1, {"do": "close"})
        self._nodes.pop().stop()
        self._ask(0, {"do": "alone"})

    def rejoin(self) -> float:
        """Start it again; gives the seconds from opening its directory until it has everything."""
        self._nodes.append(self._node(1))
        began = self._ask(1, self._opening())["began"]
        return float(self._ask(0, {"do": "complete"})["at"] - began)

    def warnings(self) -> list[str]:
        """Nothing is known to go wrong without an error."""
        return []

    def stop(self) -> None:
        """End both."""
        while self._nodes:
            self._nodes.pop().stop()

    def _ask(self, place: int, order: dict[str, Any]) -> dict[str, Any]:
        return self._nodes[place].ask(json.dumps(order), _ORDER_SECONDS_MAX)

    def _node(self, place: int) -> Obeying:
        plan = {
            "name": _NAMES[place],
            "path": str(self.directory / _NAMES[place] / "data"),
            "tables": self._tables,
            "storage": self._storage,
            "nodes": dict(zip(_NAMES, self._ports, strict=True)),
        }
        node = Obeying.start(
            _NAMES[place],
            [sys.executable, "-m", "ops.bench.tables_node", json.dumps(plan)],
            self.directory / _NAMES[place],
            environment={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH")))),
            },
        )
        try:
            self._keys[_NAMES[place]] = node.answer(_READY_SECONDS_MAX)["key"]
        except BaseException:
            node.stop()
            raise
        return node

    def _opening(self) -> dict[str, Any]:
        return {"do": "open", "keys": self._keys}
