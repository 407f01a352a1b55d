"""Directories of before accounts and mail were one group: their rows are brought into `users`, and the former groups
dropped, before anything else is done there. Whatever interrupts it, it begins again at the next open.
"""

from pathlib import Path
from typing import Final

import structlog

from node.accounts.tables import GROUP as ACCOUNTS
from node.mail.tables import MAIL
from node.tables import GROUPS, STORE_DIRECTORY, USERS
from store.directory import MARKER, read_marker
from store.errors import OlderFormat
from store.group import OpenGroup
from store.schema import Group
from store.store import Store
from store.writes import PUT

log = structlog.get_logger()

ROWS: Final = 2_000
"""In one commit."""


def take_over(data: Path) -> int:
    """Bring a data directory to the present layout; gives how many rows were brought over, 0 if it has that layout.
    Blocks for the disk.

    Raises:
        StoreError: nothing is lost; the next open goes on.
    """
    path = data / STORE_DIRECTORY
    former = _former(path)
    if not former:
        return 0
    log.info("rows of the former groups are being brought over", groups=[group.name for group in former])
    moved = 0
    with Store.open(path, [*former, *GROUPS], committer="inline") as store:
        users = store.group(USERS.name)
        for group in former:
            moved += sum(_bring(store, store.group(group.name), users, table.name) for table in group.tables)
        for group in former:
            store.drop_group_now(group.name, group.name)
    log.info("brought over", rows=moved)
    return moved


def refuse_former(path: Path) -> None:
    """For those who only look: raise OlderFormat if the store in `path` has the former groups."""
    if _former(path):
        raise OlderFormat(
            f"{path} has accounts and mail apart, as former releases did: run this release's node on it once"
        )


def _former(path: Path) -> list[Group]:
    if not (path / MARKER).is_file():
        return []
    there = read_marker(path).groups
    return [group for group in (ACCOUNTS, MAIL) if group.name in there]


def _bring(store: Store, former: OpenGroup, users: OpenGroup, table: str) -> int:
    number, after, moved = users.table(table).id, None, 0
    while True:
        found = former.table(table).prefix((), after, ROWS)
        if found:
            failed: list[BaseException | None] = []
            users.submit(
                [(PUT, number, key, value) for key, value in found],
                lambda result, failed=failed: failed.append(result.error),  # type: ignore[misc]
            )
            while not failed:
                store.deliver_results()
            if failed[0] is not None:
                raise failed[0]
            moved += len(found)
        if len(found) < ROWS:
            return moved
        after = found[-1][0]
