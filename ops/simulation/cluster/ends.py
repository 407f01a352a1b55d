"""What a node finds out when it connects to where a peer listened, as `replication.zeromq.knocking` really does.

A machine on which the process has ended refuses; one that is paused, cut off or without power doesn't. A filter on the
way may refuse in a machine's name, to one node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ops.simulation.tables.claims import node_of
from replication.detector import Detector

IN_A_ROW_MS: Final = 20
"""For so long each look must have been refused."""


class Knocks:
    """Of one life of a node. look: whether it is refused at another one; None: nobody answers."""

    def __init__(self, look: Callable[[int], bool | None]) -> None:
        self._look = look
        self._since: dict[bytes, int] = {}

    def tick(self, detector: Detector, now: int) -> list[Any]:
        """What the detector makes of it."""
        effects: list[Any] = []
        for name, peer in tuple(detector.state.peers.items()):
            if not peer.spoke or self._look(node_of(name)) is not True:
                self._since.pop(name, None)
            elif now - self._since.setdefault(name, now) >= IN_A_ROW_MS:
                effects += detector.refused(name, now)
        return effects


class Filters:
    """Of a world: who is refused in whose name. One at a time, so that two who look never both stand behind one."""

    def __init__(self) -> None:
        self._set: set[tuple[int, int]] = set()

    def put(self, node: int, peer: int) -> None:
        """Nothing of a node gets to a peer any more, and it is refused."""
        self._set.add((node, peer))

    def take_away(self, node: int, peer: int) -> None:
        """It does again."""
        self._set.discard((node, peer))

    def refuse(self, node: int, peer: int) -> bool:
        """Whether a node is refused in a peer's name."""
        return (node, peer) in self._set
