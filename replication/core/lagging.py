"""How far a peer is behind in each table: rows that it has not acknowledged, and how old the oldest of them is. Pure.

All tables of a group share one stream, so a peer is behind in the stream; by table it is known what of that waits. What
a frame carries is counted when it is sent, or left out, and taken off when it is acknowledged; ages are worked out only
when somebody asks. They are as fine as the clock of whoever drives the core. What a peer pulls for a copy that isn't
complete is not counted here: it is catching up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from replication.core.state import Part, Stream

FRAMES_LOOKED_AT_MAX: Final = 1_000
"""For the oldest rows of each table: a window may have twenty times as many frames."""
FRAME_OVERHEAD: Final = 64
"""Bytes of a frame besides its parts, for the window."""


def measured(parts: Iterable[Part]) -> tuple[int, int, dict[str, int]]:
    """(rows, bytes, rows by table) of what a frame would carry."""
    rows, size = 0, FRAME_OVERHEAD
    tables: dict[str, int] = {}
    for _, table, blob, count in parts:
        rows += count
        size += len(blob)
        tables[table] = tables.get(table, 0) + count
    return rows, size, tables


def sent(stream: Stream, tables: dict[str, int]) -> None:
    """A frame with these rows goes out."""
    waiting = stream.inflight_tables
    for table, rows in tables.items():
        waiting[table] = waiting.get(table, 0) + rows


def acknowledged(stream: Stream, tables: dict[str, int]) -> None:
    """It has been taken in."""
    waiting = stream.inflight_tables
    for table, rows in tables.items():
        waiting[table] -= rows


def left_out(stream: Stream, tables: dict[str, int], now: int) -> None:
    """A commit with these rows isn't sent now."""
    behind = stream.behind_tables
    for table, rows in tables.items():
        before, since = behind.get(table, (0, now))
        behind[table] = (before + rows, since)


def made_up(stream: Stream, tables: dict[str, int], asked_at: int) -> None:
    """Rows that were left out go out after all; what is left out still was committed at `asked_at`, or later."""
    behind = stream.behind_tables
    for table, rows in tables.items():
        before, since = behind[table]
        if before > rows:
            behind[table] = (before - rows, max(since, asked_at))
        else:
            del behind[table]


def behind(stream: Stream, now: int) -> dict[str, tuple[int, int]]:
    """Table → (rows that are not acknowledged, age in ms of the oldest of them), of those that have any. An age beyond
    the frames that are looked at is an upper bound."""
    wanted = {table for table, rows in stream.inflight_tables.items() if rows}
    oldest: dict[str, int] = {}
    at = now
    for looked, frame in enumerate(stream.inflight):
        if not wanted or looked == FRAMES_LOOKED_AT_MAX:
            break
        at = frame[4]
        met = wanted & frame[5].keys()
        oldest |= dict.fromkeys(met, at)
        wanted -= met
    oldest |= dict.fromkeys(wanted, at)
    found = {table: (stream.inflight_tables[table], since) for table, since in oldest.items()}
    for table, (rows, since) in stream.behind_tables.items():
        before, earlier = found.get(table, (0, since))
        found[table] = (before + rows, min(earlier, since))
    return {table: (rows, max(0, now - since)) for table, (rows, since) in found.items()}
