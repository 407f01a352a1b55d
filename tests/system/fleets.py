"""What system tests of replicated tables share: a drill, the cables that the machine allows, the verdict."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ops.faults.unavailable import UnavailableError
from ops.tables.cables import Cables, Namespaces, Proxied
from ops.tables.drill import Drill, open_drill
from ops.tables.plan import Fault, Kind


@asynccontextmanager
async def drill_in(folder: Path, **wanted: Any) -> AsyncIterator[Drill]:
    """A drill that ends with the test; what goes wrong is printed."""
    async with open_drill(folder, tell=print, **wanted) as drill:
        yield drill


def cables(kind: str, folder: Path) -> Cables:
    """Those that can be cut. Skips where the machine can't have them."""
    if kind == "proxies":
        return Proxied(3, folder)
    try:
        with Namespaces(3) as network:
            network.cut(0, 1)
    except UnavailableError as error:
        pytest.skip(str(error))
    return Namespaces(3)


def fault(kind: Kind, *, seconds: float = 1.0, group: float = 0.0, seed: int = 1) -> Fault:
    """A fault that a test chooses itself."""
    return Fault(kind, group, seconds, seed)


async def suffer(drill: Drill, faults: Sequence[Fault]) -> None:
    """Everything in its order; then every promise must have held, and enough happened to prove something."""
    await drill.begin()
    for one in faults:
        await drill.suffer(one)
    must_hold(drill)


def must_hold(drill: Drill, settled: int = 100) -> None:
    """Nothing is broken, and enough was settled on two copies."""
    assert drill.broken == []
    assert drill.record.settled(2) >= settled, "nothing was proved"
    assert drill.watcher.looks > 0
