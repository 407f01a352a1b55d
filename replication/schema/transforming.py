"""One step of a transformation of a table, where its partition is served."""

from collections.abc import Callable, Mapping
from typing import Any

from replication.errors import NoProcedure
from store.digest import range_of
from store.transaction import Transaction
from store.transform import transform_step


def transform(
    procedures: Mapping[str, Callable[..., Any]],
    transaction: Transaction,
    table: str,
    procedure: str,
    after: bytes,
    partition: int,
) -> tuple[int, int, bytes | None]:
    """Give some records the value that a procedure makes of them: (looked at, changed, where to go on or None).

    Raises:
        NoProcedure; what the procedure raises: none of these records is changed.
    """
    fn = procedures.get(procedure)
    if fn is None:
        raise NoProcedure(f"nothing is registered as {procedure!r}")
    state, _ = transaction.stored(table)
    low, high = range_of(partition if state.partitioned else None)
    step = transform_step(transaction, table, fn, max(after, low), high=high)
    return step.looked, step.changed, step.after
