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
from ops.bench.tables_pair import Pair
from ops.bench.tables_plan import Contents, Load, load_fields
from ops.bench.tables_process import TableNodeError

_ROOT: Final = Path(__file__).resolve().parents[2]
_NAMES: Final = ("a", "b")


class WaystationPair(Pair):
    """Two nodes without phones."""

    name = "waystation"

    def __init__(self, directory: Path, tables: int, storage: str) -> None:
        super().__init__(directory)
        self._tables = tables
        self._storage = storage
        self._ports = free_ports(2)
        self._keys: dict[str, str] = {}

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
                pair._start_node(place)
            for place in range(2):
                pair._order(place, pair._opening())
            pair._order(0, {"do": "complete"})
        except BaseException:
            pair.stop()
            raise
        return pair

    def run(self, load: Load) -> dict[str, Any]:
        """Make the writes of one phase; return when both nodes have all of them on disk.

        Returns:
            issued_seconds: until the last writer had ended; seconds: until all was settled, too.
            latencies: (bucket, count) pairs of `ops.bench.latency`; empty for `fill` and `async`.
        """
        result = self._order(0, {"do": "write", "load": load_fields(load)})
        if len(self._nodes) == 2 and result["single"]:
            raise TableNodeError(f"{result['single']} writes were settled on one node only")
        return result

    def tidy(self) -> float:
        """Nothing is put off: 0 seconds."""
        return 0.0

    def contents(self) -> list[Contents]:
        """What each node holds."""
        return [Contents(**self._order(place, {"do": "contents"})) for place in range(len(self._nodes))]

    def leave(self) -> None:
        """Stop the second node, gently."""
        self._order(1, {"do": "close"})
        self._nodes.pop().stop()
        self._order(0, {"do": "alone"})

    def rejoin(self) -> float:
        """Start it again; gives the seconds from opening its directory until it has everything."""
        self._start_node(1)
        began = self._order(1, self._opening())["began"]
        return float(self._order(0, {"do": "complete"})["at"] - began)

    def warnings(self) -> list[str]:
        """Nothing is known to go wrong without an error."""
        return []

    def _order(self, place: int, order: dict[str, Any]) -> dict[str, Any]:
        return self._ask(place, json.dumps(order))

    def _start_node(self, place: int) -> None:
        plan = {
            "name": _NAMES[place],
            "path": str(self.directory / _NAMES[place] / "data"),
            "tables": self._tables,
            "storage": self._storage,
            "nodes": dict(zip(_NAMES, self._ports, strict=True)),
        }
        greeting = self._join(
            _NAMES[place],
            [sys.executable, "-m", "ops.bench.tables_node", json.dumps(plan)],
            self.directory / _NAMES[place],
            {
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH")))),
            },
        )
        self._keys[_NAMES[place]] = greeting["key"]

    def _opening(self) -> dict[str, Any]:
        return {"do": "open", "keys": self._keys}
