"""What nodes of the world of tables say of themselves. Checkers believe only what disks confirm."""

from __future__ import annotations

from typing import Any, NamedTuple


class Serving(NamedTuple):
    """A node begins to serve a partition, or goes on under another claim."""

    node: int
    group: str
    partition: int
    epoch: int


class Ceased(NamedTuple):
    """It doesn't serve it any more."""

    node: int
    group: str
    partition: int


class Reported(NamedTuple):
    """Something an operator would want to know."""

    node: int
    group: str
    what: str
    details: Any
