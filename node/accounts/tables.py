"""The tables of accounts as the store is told of them: what is kept, and what the rows are keyed by. A node has them in
its group `users` (node/tables.py); the group `account` is of them alone: tests, and directories of before.

`account` (p, user) → records.Account, the registered device · `pin` (p, user) → pins.PinRecord. p is the
user's partition. A registration changes both in one transaction. This module must never read or write a
row.
"""

from collections.abc import Iterable
from typing import Any, Final

from node.accounts import records
from store.schema import Group, Index, Table


def _unfinished_wipe(key: tuple[Any, ...], value: Any) -> Iterable[tuple[Any, ...]]:
    return (key,) if records.from_value(value).wiping else ()


WIPING: Final = "wiping"
"""Index of the accounts whose former devices' mail isn't expired yet; nearly always empty."""

ACCOUNT: Final = Table(
    "account", tombstones=True, merge=records.merge, indexes=(Index(WIPING, _unfinished_wipe),)
)

PIN: Final = Table("pin")
"""Without tombstones: a PIN record that comes back has run out by its own times."""

GROUP: Final = Group("account", (ACCOUNT, PIN))
