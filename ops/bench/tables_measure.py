"""What is measured on a pair of nodes with replicated tables: the phases, and the figures of each.

Every pair goes through the same phases with the same loads, and must hold the same records after each. This module
must never know which system it measures.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

from attrs import evolve, field, frozen

from ops.bench.latency import Latencies
from ops.bench.sampling import Disturbance
from ops.bench.screen import Screen
from ops.bench.tables_costs import Costs, Spender
from ops.bench.tables_plan import Contents, Load, Mode

_WARM_UP_SHARE: Final = 10
"""A mode's first phase comes after one of this part of its writes, which isn't counted."""

_RETURNING: Final = 1_000
_WARM_UP: Final = 2_000
"""Numbers of phases, beyond those of the counted ones."""


class Pair(Spender, Protocol):
    """Two nodes with the same tables; the first one writes."""

    name: str

    def run(self, load: Load) -> dict[str, Any]:
        """Make the writes of a phase; return when both nodes have all, durable."""
        ...

    def tidy(self) -> float:
        """Do what the system has put off; gives the seconds."""
        ...

    def contents(self) -> list[Contents]:
        """What each node holds."""
        ...

    def leave(self) -> None:
        """Stop the second node."""
        ...

    def rejoin(self) -> float:
        """Start it again; gives the seconds from opening its directory until it has everything."""
        ...

    def warnings(self) -> list[str]:
        """What to say about the run."""
        ...


class DisagreeError(Exception):
    """Nodes don't hold the same records after the same writes: one of the systems, or this benchmark, is wrong."""


@frozen
class Wanted:
    """How much of what.

    Attributes:
        tables: tables of the pair.
        keys: of each table.
        writers: numbers of writers that each mode is tried with; its figures are those of the best.
        writes: how many for each mode; modes that are missing are left out.
        returning: records that are written while the second node is away; 0: it never is.
    """

    tables: int
    keys: int
    value: int
    writers: Sequence[int]
    writes: dict[Mode, int]
    returning: int = 0

    def loads(self) -> Iterator[Load]:
        """The phases but the last, in order."""
        phase = 0
        first = Load(
            "fill", 0, self.tables, self.keys, self._fitting()[0], self.keys * self.tables, self.value
        )
        yield first
        for mode, writes in self.writes.items():
            for writers in self._fitting():
                phase += 1
                yield evolve(first, mode=mode, phase=phase, writers=writers, writes=writes)

    def returning_load(self) -> Load:
        """What is written while the second node is away."""
        returning = self.returning // self.tables * self.tables
        return Load("fill", _RETURNING, self.tables, self.keys, self._fitting()[0], returning, self.value)

    def _fitting(self) -> list[int]:
        return [max(1, writers // self.tables) * self.tables for writers in self.writers]


@frozen
class Measured:
    """A pair's figures, and what it held after the last phase.

    Attributes:
        modes: mode → number of writers → figures.
        catch_up: figures of the returning node, if it was asked for.
    """

    modes: dict[str, dict[int, dict[str, Any]]]
    catch_up: dict[str, Any] | None
    contents: Contents
    others_cores: float
    warnings: list[str] = field(factory=list)


def measure(pair: Pair, wanted: Wanted, screen: Screen) -> Measured:
    """Run all phases on one pair.

    Raises:
        DisagreeError: its nodes ended with different records.
    """
    modes: dict[str, dict[int, dict[str, Any]]] = {}
    began = pair.cpu_seconds()
    others = Disturbance(began)
    loads = list(wanted.loads())
    with screen.phase(pair.name, len(loads)) as phase:
        for done, load in enumerate(loads):
            phase.show(done, f"{load.mode}, {load.writers} writers")
            if load.mode not in modes and load.mode != "fill":
                pair.run(evolve(load, phase=load.phase + _WARM_UP, writes=load.writes // _WARM_UP_SHARE))
            modes.setdefault(load.mode, {})[load.writers] = _phase(pair, load)
    cores = others.cores(pair.cpu_seconds())
    contents = same(pair.contents(), pair.name)
    catch_up = None
    if wanted.returning:
        catch_up = _catch_up(pair, wanted.returning_load(), screen)
        contents = same(pair.contents(), pair.name)
    warnings = [*pair.warnings(), *Disturbance.warnings(cores)]
    return Measured(modes, catch_up, contents, cores, warnings)


def same(nodes: Sequence[Contents], name: str) -> Contents:
    """What all nodes hold.

    Raises:
        DisagreeError: they don't hold the same.
    """
    if len(set(nodes)) != 1:
        raise DisagreeError(f"the nodes of {name} hold different records: {nodes}")
    return nodes[0]


def _phase(pair: Pair, load: Load) -> dict[str, Any]:
    before = Costs.of(pair)
    result = pair.run(load)
    drained = result["seconds"]
    tidy = pair.tidy()
    spent = Costs.of(pair).since(before)
    latencies = Latencies()
    latencies.merge(result["latencies"])
    writes = load.writes
    return {
        "writes_per_s": writes / drained,
        "issued_per_s": writes / result["issued_seconds"],
        "seconds": drained,
        "tidy_seconds": tidy,
        "cpu_us_per_write": spent.cpu_seconds / writes * 1e6,
        "wire_bytes_per_write": None if spent.wire_bytes is None else spent.wire_bytes / writes,
        "disk_bytes_per_write": spent.disk_bytes / writes,
        **({"latency_ms": latencies.summary_ms()} if latencies.count else {}),
    }


def _catch_up(pair: Pair, load: Load, screen: Screen) -> dict[str, Any]:
    with screen.phase(f"{pair.name}: a node returns", 2) as phase:
        pair.leave()
        pair.run(load)
        phase.show(1)
        began = time.monotonic()
        seconds = pair.rejoin()
        return {
            "records": load.writes,
            "records_per_s": load.writes / seconds,
            "seconds": seconds,
            "seconds_with_start_of_process": time.monotonic() - began,
        }


def best(modes: dict[str, dict[int, dict[str, Any]]], mode: str) -> tuple[int, dict[str, Any]] | None:
    """The number of writers with which a mode was fastest, and its figures."""
    tried = modes.get(mode)
    if not tried:
        return None
    writers = max(tried, key=lambda count: tried[count]["writes_per_s"])
    return writers, tried[writers]
