"""Accounts in bulk: from lines of JSON or from a list into the store of a stopped node.

For benchmarks, tests and moving in from elsewhere. Rows are merged, so that a newer device is never undone and
importing twice is the same as once. A directory that a node has open is refused by the store.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from node.accounts.errors import ImportRefused
from node.accounts.keys import is_device_key
from node.accounts.numbers import NumberRefused, is_number, parse_number
from node.accounts.records import Account
from node.accounts.tables import ACCOUNT
from node.tables import GROUPS, STORE_DIRECTORY, USERS
from node.takeover import take_over
from node.wire.limits import NUMBER_MAX, STREAM_SIZE
from replication.identity import ensure_identity
from replication.placement import Placement
from replication.tables import CLUSTER
from store.directory import make_directory
from store.group import OpenGroup
from store.store import Store
from store.writes import MERGE

ROWS_MAX: Final = 2_000
"""Accounts in one transaction."""

LINE_MAX: Final = 4_096
"""Characters of a line."""

_MEMBERS: Final = frozenset({"user", "key", "stream", "generation", "since", "blocked"})


@attrs.frozen
class NewAccount:
    user: int
    account: Account


def provision(data_dir: str | os.PathLike[str], accounts: Iterable[tuple[int, bytes, bytes]]) -> int:
    """Write (user, public key, stream) as first devices into a stopped node's data directory, made if need be.

    Gives how many were written. The arguments are trusted, as benchmarks and tests may be. Blocks; may be called
    inside an event loop or outside.

    Raises:
        StoreError: see store.errors; DirectoryInUse while a node runs.
    """
    new = (NewAccount(user, Account(key, stream, 1, since=0)) for user, key, stream in accounts)
    with ThreadPoolExecutor(1) as thread:  # a loop of its own, whatever the caller's thread has
        return thread.submit(lambda: trio.run(import_accounts, data_dir, new)).result()


async def import_accounts(
    data_dir: str | os.PathLike[str],
    accounts: Iterable[NewAccount],
    progress: Callable[[int], None] | None = None,
) -> int:
    """Merge accounts into a stopped node's data directory, made if need be; `progress` is told the count so far.

    Raises:
        ImportRefused: if `accounts` is `read_accounts(…)` and a line is wrong.
        StoreError, DamagedIdentity: the directory can't be used.
    """
    make_directory(Path(data_dir))
    take_over(Path(data_dir))
    with Store.open(Path(data_dir) / STORE_DIRECTORY, GROUPS) as store:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            identity = await ensure_identity(store.group(CLUSTER.name))
            placement = Placement(identity.secret, identity.partitions)
            written = await write_accounts(
                store.group(USERS.name), placement.partition_of, accounts, progress
            )
            nursery.cancel_scope.cancel()
    return written


async def write_accounts(
    group: OpenGroup,
    partition_of: Callable[[int], int],
    accounts: Iterable[NewAccount],
    progress: Callable[[int], None] | None = None,
) -> int:
    """The same into an open group, `ROWS_MAX` to a transaction."""
    table = group.table(ACCOUNT.name).id
    remaining = iter(accounts)
    written = 0
    while batch := list(islice(remaining, ROWS_MAX)):
        await group.commit(
            [(MERGE, table, (partition_of(new.user), new.user), new.account.to_value()) for new in batch]
        )
        written += len(batch)
        if progress is not None:
            progress(written)
    return written


def read_accounts(lines: Iterable[str]) -> Iterator[NewAccount]:
    """Accounts of lines like {"user": "+15551230001", "key": "<64 hex>", "stream": "<16 hex>"}; empty lines
    are skipped.

    Optional: generation (1), since (Unix time in ms, 0), blocked (false).

    Raises:
        ImportRefused: at the first line that isn't one, naming it.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield _account(line)
            except ValueError as error:
                raise ImportRefused(number, str(error)) from None


def _account(line: str) -> NewAccount:
    if len(line) > LINE_MAX:
        raise ValueError(f"it is longer than {LINE_MAX} characters")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(row, dict) or not {"user", "key", "stream"} <= row.keys() <= _MEMBERS:
        raise ValueError(
            f"it must be an object of {', '.join(sorted(_MEMBERS))}, at least user, key and stream"
        )
    generation, since, blocked = row.get("generation", 1), row.get("since", 0), row.get("blocked", False)
    if type(generation) is not int or not 1 <= generation <= NUMBER_MAX:
        raise ValueError("generation must be an integer from 1")
    if type(since) is not int or not 0 <= since <= NUMBER_MAX:
        raise ValueError("since must be a Unix time in milliseconds")
    if type(blocked) is not bool:
        raise ValueError("blocked must be true or false")
    key = _hex(row, "key")
    if not is_device_key(key):
        raise ValueError("key is not an Ed25519 public key that can be used")
    stream = _hex(row, "stream")
    if len(stream) != STREAM_SIZE:
        raise ValueError(f"stream must be {STREAM_SIZE} bytes in hex")
    return NewAccount(_user(row["user"]), Account(key, stream, generation, since, block_changes=int(blocked)))


def _user(written: Any) -> int:
    if isinstance(written, str):
        try:
            return parse_number(written)
        except NumberRefused as error:
            raise ValueError(f"user is {error}") from None
    if type(written) is not int or not is_number(written):
        raise ValueError('user must be a phone number like "+15551230001"')
    return written


def _hex(row: dict[str, Any], name: str) -> bytes:
    try:
        return bytes.fromhex(row[name])
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be hex digits") from None
