"""Which write stands at which (incarnation, sequence): put together from commits and from what primaries say.

Not a promise of its own; several checkers ask it.
"""

from __future__ import annotations

from typing import NamedTuple

from ops.simulation.disk import Commit
from ops.simulation.records import Version, parse, table_of
from ops.simulation.trace import Trace
from ops.simulation.writes import Attempted, Change, Placed
from store import keys


class Place(NamedTuple):
    """What was first seen at a position."""

    group: str
    table: str
    key: bytes
    version: Version
    payload: bytes | None


class Positions:
    """Every record that was ever committed anywhere, by the position that its writer gave it."""

    def __init__(self, trace: Trace) -> None:
        self.places: dict[tuple[int, int], Place] = {}
        self._of_key: dict[tuple[str, str, bytes], list[Version]] = {}
        self.attempted: dict[int, Attempted] = {}
        self.placed: dict[int, Placed] = {}
        trace.subscribe(Commit, self._committed)
        trace.subscribe(Attempted, self._attempted)
        trace.subscribe(Placed, self._placed)

    def _committed(self, commit: Commit) -> None:
        for name, key, record in commit.changes:
            if record is not None and name[:2] in (b"t:", b"x:"):
                found = parse(record)
                table = table_of(name)
                assert table is not None
                place = (found.version[2], found.version[1])
                if place not in self.places:
                    self.places[place] = Place(commit.group, table, key, found.version, found.payload)
                    self._of_key.setdefault((commit.group, table, key), []).append(found.version)

    def _attempted(self, attempted: Attempted) -> None:
        self.attempted[attempted.write] = attempted

    def _placed(self, placed: Placed) -> None:
        self.placed[placed.write] = placed

    def of(self, write: int) -> list[tuple[Change, Version]] | None:
        """Each change of a write with the version that it was given; None if no primary ever said that it has it."""
        placed = self.placed.get(write)
        if placed is None:
            return None
        attempted = self.attempted[write]
        first = placed.sequence - len(attempted.changes) + 1
        return [
            (change, self._version(attempted.group, change, placed.incarnation, first + at))
            for at, change in enumerate(attempted.changes)
        ]

    def _version(self, group: str, change: Change, incarnation: int, sequence: int) -> Version:
        key = keys.encode(change.key)
        place = self.places.get((incarnation, sequence))
        if place is not None:
            assert (place.group, place.table, place.key) == (group, change.table, key), (
                f"{change} was placed where another write is"
            )
            return place.version
        # Overwritten in the commit that wrote it, under the same claim, so never seen.
        after = [
            version
            for version in self._of_key.get((group, change.table, key), ())
            if version[2] == incarnation and version[1] > sequence
        ]
        assert after, f"{change} was placed where nothing was committed"
        return (min(after, key=lambda version: version[1])[0], sequence, incarnation)
