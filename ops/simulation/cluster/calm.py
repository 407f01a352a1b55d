"""Since when nothing has happened to a world, or to one cluster in it: what is judged more strictly there.

A cluster is calm while another one is cut off, or its nodes die: that costs the others nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ops.simulation.trace import DiskLost, Down, Fault, Peace, Up
from ops.simulation.world import World


class Calm:
    """Follows the faults of a world. `labels`: of each node's cluster."""

    def __init__(self, world: World, labels: Sequence[str]) -> None:
        self._world = world
        self._labels = tuple(labels)
        self._happened = dict.fromkeys(labels, 0)
        self.lasting: set[tuple[int, int, str]] = set()
        """Links that are full: (node, peer, channel)."""
        for kind in (Up, Down, DiskLost):
            world.trace.subscribe(kind, self._to_node)
        world.trace.subscribe(Fault, self._fault)
        world.trace.subscribe(Peace, lambda _: self.disturb())

    def disturb(self, labels: Collection[str] = ()) -> None:
        """Something happens to these clusters, or to all."""
        for label in labels or self._happened:
            self._happened[label] = self._world.clock.now

    def since(self, label: str | None = None) -> int | None:
        """In this cluster, or in all; None: something is the matter that goes on."""
        if self.lasting:
            return None
        nodes = [node for node, one in enumerate(self._labels) if label in (None, one)]
        machines = [self._world.machines[node] for node in nodes]
        if any(machine.paused or machine.slow or machine.disk.full for machine in machines):
            return None
        if not self._world.network.is_whole_among(nodes):
            return None
        return max(self._happened.values()) if label is None else self._happened[label]

    def _to_node(self, event: Up | Down | DiskLost) -> None:
        self.disturb((self._labels[event.node],))

    def _fault(self, fault: Fault) -> None:
        if fault.kind == "heal":
            self.disturb()
        elif fault.kind == "split":
            side = {self._labels[node] for node in fault.arguments[0]}
            other = {one for node, one in enumerate(self._labels) if node not in fault.arguments[0]}
            if side & other:
                self.disturb(side & other)
        elif fault.kind in ("cut", "mend", "weather", "clear"):
            a, b = (self._labels[node] for node in fault.arguments[:2])
            if a == b:
                self.disturb((a,))
        else:
            self.disturb((self._labels[fault.arguments[0]],))
