"""In bound: how long something has waited of a group while nothing happened that could have held it up.

What it is that waits isn't known here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import attrs

from ops.simulation.checkers.base import Disks


@attrs.frozen
class Bound:
    """Of what is judged by the disks that have a group.

    Args:
        calm_since: since when nothing has happened among these nodes; None if something is the matter now.
        ms: how long it may take.
    """

    disks: Disks
    group: str
    now: Callable[[], int]
    calm_since: Callable[[Collection[int]], int | None]
    ms: int

    def overdue(self, nodes: Collection[int], *since: int) -> int | None:
        """For how many ms it has waited since all of these times and the last thing that happened among these nodes;
        None while that isn't too long."""
        calm = self.calm_since(nodes)
        if calm is None:
            return None
        waited = self.now() - max(calm, *since, 0)
        return waited if waited > self.ms else None
