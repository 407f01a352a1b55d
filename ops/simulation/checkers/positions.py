"""Which write stands at which (incarnation, sequence): put together from commits and from what clients are told.

Not a promise of its own; several checkers ask it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ops.simulation.checkers.base import Violation
from ops.simulation.records import Key, Landings, Version
from ops.simulation.trace import Trace
from ops.simulation.writes import Attempted, Change, Settled
from store import keys

NEVER: Final = (-1, 0, 0)
"""Less than any version."""


class Place(NamedTuple):
    """What was first seen at a position."""

    group: str
    table: str
    key: bytes
    version: Version
    payload: bytes | None


class Positions:
    """Every record that was ever committed anywhere, by the position that its writer gave it.

    Args:
        forgets: tombstones are forgotten, by each node when it may.
    """

    def __init__(self, trace: Trace, *, forgets: bool = False) -> None:
        self._forgets = forgets
        self.places: dict[tuple[int, int], Place] = {}
        self._of_key: dict[tuple[str, str, bytes], list[Version]] = {}
        self.attempted: dict[int, Attempted] = {}
        self.buried: dict[tuple[str, str, bytes], Version] = {}
        """The highest tombstone of each key that was ever on any disk: it may be forgotten by now."""
        trace.subscribe(Landings, self._landed)
        trace.subscribe(Attempted, self._attempted)

    def _landed(self, landings: Landings) -> None:
        group = landings.group
        for table, key, found in landings.records:
            if found.payload is None and found.version > self.buried.get((group, table, key), NEVER):
                self.buried[group, table, key] = found.version
            place = (found.version[2], found.version[1])
            if place not in self.places:
                self.places[place] = Place(group, table, key, found.version, found.payload)
                self._of_key.setdefault((group, table, key), []).append(found.version)

    def _attempted(self, attempted: Attempted) -> None:
        self.attempted[attempted.write] = attempted

    def was_buried(self, group: str, table: str, key: Key, version: Version) -> bool:
        """Whether there was a tombstone that beats a version of a key, and is forgotten: then nothing need be there."""
        return self._forgets and self.buried.get((group, table, keys.encode(key)), NEVER) >= version

    def of(self, settled: Settled) -> list[tuple[Change, Version]]:
        """Each change of a write with the version that it was given.

        Raises:
            Violation: it was told of a place where another write is, or none.
        """
        attempted = self.attempted[settled.write]
        first = settled.sequence - len(attempted.changes) + 1
        return [
            (change, self._version(attempted.group, change, settled.incarnation, first + at))
            for at, change in enumerate(attempted.changes)
        ]

    def _version(self, group: str, change: Change, incarnation: int, sequence: int) -> Version:
        key = keys.encode(change.key)
        place = self.places.get((incarnation, sequence))
        if place is not None:
            if (place.group, place.table, place.key) != (group, change.table, key):
                raise Violation("key freshness", f"{change} was placed where another write is, {place}")
            return place.version
        # Overwritten in the commit that wrote it, under the same claim, so never seen.
        after = [
            version
            for version in self._of_key.get((group, change.table, key), ())
            if version[2] == incarnation and version[1] > sequence
        ]
        if not after:
            raise Violation("ack before durable", f"{change} was placed where nothing was committed")
        return (min(after, key=lambda version: version[1])[0], sequence, incarnation)
