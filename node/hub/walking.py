"""All connections of a hub, a slice of descriptors at a time: for those who look at a million of them beside it.

Between two slices connections come and go; who comes behind the walker isn't met.
"""

from __future__ import annotations

from typing import Final

from node.hub.connection import CLOSING, HANDSHAKE, Connection
from node.hub.handler import C
from node.hub.hub import Hub

SLICE: Final = 1_000
"""Descriptors in one slice: less than 0.1 ms."""


def connections_from(hub: Hub[C], descriptor: int) -> tuple[list[C], int | None]:
    """Those whose descriptor is in the slice that begins here, and where the next one begins; None: that was all."""
    entries = hub._pollset.entries
    ends = descriptor + SLICE
    found = [
        entry
        for entry in entries[descriptor:ends]
        if isinstance(entry, Connection) and not entry.flags & (HANDSHAKE | CLOSING)
    ]
    return found, ends if ends < len(entries) else None  # type: ignore[return-value]  # the handler makes only C
