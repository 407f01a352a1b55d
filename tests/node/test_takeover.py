"""A directory of before accounts and mail were one group is brought to the present layout, from wherever it stopped."""

from pathlib import Path

import pytest

from node.accounts.records import Account
from node.accounts.tables import GROUP as ACCOUNTS
from node.mail.tables import MAIL
from node.tables import GROUPS, STORE_DIRECTORY, USERS
from node.takeover import ROWS, refuse_former, take_over
from replication.tables import CLUSTER
from store.directory import read_marker
from store.errors import OlderFormat
from store.schema import Group
from store.store import Store
from store.writes import PUT, Write

ACCOUNT = Account(bytes(32), b"stream 1", 1, since=0).to_value()


def write(store: Store, group: str, table: str, rows: list[tuple[tuple[object, ...], object]]) -> None:
    number = store.group(group).table(table).id
    writes: list[Write] = [(PUT, number, key, value) for key, value in rows]
    store.group(group).submit(writes, lambda result: None)
    store.deliver_results()


def former(data: Path, *groups: Group) -> None:
    with Store.open(data / STORE_DIRECTORY, [CLUSTER, *groups], committer="inline") as store:
        write(store, "account", "account", [((n % 7, n), ACCOUNT) for n in range(ROWS + 5)])
        if MAIL in groups:
            write(store, "mail", "message", [((3, 1, 2, b"stream 1", 1), [5, b"body"])])
            write(store, "mail", "mailbox", [((3, 1), [1, 4])])


def rows(data: Path, table: str) -> dict[tuple[object, ...], object]:
    with Store.open(data / STORE_DIRECTORY, GROUPS, committer="inline") as store:
        return dict(store.group(USERS.name).table(table).prefix((), None, 10 * ROWS))


def test_all_rows_are_brought_over_and_the_former_groups_go(tmp_path: Path) -> None:
    former(tmp_path, ACCOUNTS, MAIL)
    with pytest.raises(OlderFormat, match="run this release's node"):
        refuse_former(tmp_path / STORE_DIRECTORY)
    assert take_over(tmp_path) == ROWS + 7
    assert read_marker(tmp_path / STORE_DIRECTORY).groups == {"cluster", "users"}
    assert len(rows(tmp_path, "account")) == ROWS + 5
    assert rows(tmp_path, "message") == {(3, 1, 2, b"stream 1", 1): [5, b"body"]}
    assert rows(tmp_path, "mailbox") == {(3, 1): [1, 4]}
    assert take_over(tmp_path) == 0
    refuse_former(tmp_path / STORE_DIRECTORY)


def test_it_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    """Mail was dropped already, accounts not yet; rows that were brought over are brought over again."""
    former(tmp_path, ACCOUNTS)
    with Store.open(tmp_path / STORE_DIRECTORY, [ACCOUNTS, *GROUPS], committer="inline") as store:
        write(store, "users", "account", [((1, 1), ACCOUNT)])
    assert take_over(tmp_path) == ROWS + 5
    assert len(rows(tmp_path, "account")) == ROWS + 5


def test_a_new_directory_is_left_alone(tmp_path: Path) -> None:
    assert take_over(tmp_path) == 0
    assert list(tmp_path.iterdir()) == []
