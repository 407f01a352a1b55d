"""What is run in a transaction where a partition is served: kept to it, and the same for callers on any node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cbor2

from store.record import encode_value

Procedure = Callable[..., Any]
"""fn(transaction, *arguments): run on the primary, alone and atomic."""


class Within:
    """A transaction's function that is kept to one partition; None: of a group that isn't partitioned."""

    __slots__ = ("_fn", "_partition")

    def __init__(self, fn: Procedure, partition: int | None) -> None:
        self._fn = fn
        self._partition = partition

    def __call__(self, transaction: Any, *arguments: Any) -> Any:
        if self._partition is not None:
            transaction.confine(self._partition)
        return self._fn(transaction, *arguments)


class Called(Within):
    """One that is called by name, from whichever node: what it is given and gives has been on the way as CBOR, also
    where it hasn't, so that a program that works on one node works on all of them. A value that can't be sent fails
    the transaction."""

    __slots__ = ()

    def __call__(self, transaction: Any, arguments: bytes) -> bytes:
        return encode_value(super().__call__(transaction, *cbor2.loads(arguments)))
