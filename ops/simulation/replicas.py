"""How the replicas of a world are set, whatever is in their tables: times so short that everything happens within a few
virtual seconds, and windows so small that every way to catch up is taken by some seeds."""

from __future__ import annotations

import random
from typing import Any, Final

WINDOWS: Final = (2, 5, 20, 1_000)
"""Rows; a seed draws one of them."""


def knobs(hand: random.Random, window: int) -> dict[str, Any]:
    """Of `ReplicaSettings`."""
    return {
        "window_rows": window,
        "whole_rows": window * hand.choice((2, 4)),
        "chunk_rows": hand.choice((1, 5, 100, 1_000)),
        "pulls_max": hand.choice((1, 2)),
        "pull_partitions": hand.choice((1, 64)),
        "start_wait_ms": 150,
        "pull_wait_ms": 80,
        "move_wait_ms": 100,
        "retry_ms": 50,
        "hail_ms": 150,
        "stuck_ms": 400,
        "spare_wait_ms": 100,
        "check_ms": hand.choice((20, 100)),
        "persist_ms": hand.choice((20, 200)),
        "caches": True,
    }


def detector() -> dict[str, Any]:
    """Of `DetectorSettings`."""
    return {
        "beat_ms": 25,
        "suspect_ms": 80,
        "confirm_ms": 60,
        "tick_ms": 10,
        "stride_ms": 20,
        "pause_ms": 60,
    }
