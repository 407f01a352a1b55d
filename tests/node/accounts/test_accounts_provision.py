import json
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from node.accounts.errors import ImportRefused
from node.accounts.provision import NewAccount, import_accounts, provision, read_accounts
from node.accounts.records import Account, from_value
from node.tables import GROUPS, STORE_DIRECTORY
from replication.identity import read_identity
from replication.placement import Placement
from replication.tables import CLUSTER
from store.errors import DirectoryInUse
from store.store import Store

ALICE, BOB = 15551230001, 15551230002
KEY = Ed25519PrivateKey.from_private_bytes(b"d" * 32).public_key().public_bytes_raw()
STREAM = b"stream 1"


def stored(data: Path, user: int) -> Account | None:
    """As a node would find it after its start."""
    with Store.open(data / STORE_DIRECTORY, GROUPS, committer="inline") as store:
        identity = read_identity(store.group(CLUSTER.name))
        assert identity is not None
        placement = Placement(identity.secret, identity.partitions)
        key = (placement.partition_of(user), user)
        value = store.group("users").table("account").get(key)
    return None if value is None else from_value(value)


def test_provisioned_accounts_are_where_the_node_looks_for_them(tmp_path: Path) -> None:
    assert provision(tmp_path / "data", [(ALICE, KEY, STREAM)]) == 1
    assert provision(tmp_path / "data", [(BOB, KEY, STREAM)]) == 1
    assert stored(tmp_path / "data", ALICE) == Account(KEY, STREAM, 1, since=0)
    assert stored(tmp_path / "data", BOB) is not None
    assert stored(tmp_path / "data", BOB + 1) is None


async def test_provisioning_works_inside_an_event_loop_and_in_many_transactions(tmp_path: Path) -> None:
    assert provision(tmp_path / "data", [(ALICE + i, KEY, STREAM) for i in range(4_500)]) == 4_500
    assert stored(tmp_path / "data", ALICE + 4_499) is not None


async def test_an_import_tells_its_progress_and_undoes_no_newer_device(tmp_path: Path) -> None:
    newer, older = Account(KEY, b"stream 2", 2, since=5), Account(KEY, STREAM, 1, since=9)
    told: list[int] = []
    await import_accounts(tmp_path / "data", [NewAccount(ALICE, newer)], told.append)
    await import_accounts(tmp_path / "data", [NewAccount(ALICE, older)], told.append)
    assert told == [1, 1]
    assert stored(tmp_path / "data", ALICE) == newer


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    with (
        Store.open(tmp_path / "data" / STORE_DIRECTORY, GROUPS, committer="inline"),
        pytest.raises(DirectoryInUse),
    ):
        provision(tmp_path / "data", [(ALICE, KEY, STREAM)])


def line(**change: object) -> str:
    return json.dumps({"user": "+15551230001", "key": KEY.hex(), "stream": STREAM.hex()} | change)


def test_lines_become_accounts() -> None:
    lines = ["\n", line(), line(user=BOB, generation=3, since=7, blocked=True), "   "]
    assert list(read_accounts(lines)) == [
        NewAccount(ALICE, Account(KEY, STREAM, 1, since=0)),
        NewAccount(BOB, Account(KEY, STREAM, 3, since=7, block_changes=1)),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        "not JSON",
        "[" * 2_000,
        "[]",
        "{}",
        line(surplus=1),
        line(user="5551230001"),
        line(user=12),
        line(user=True),
        line(key="00" * 32),
        line(key="xx"),
        line(key=None),
        line(stream="00"),
        line(generation=0),
        line(generation=1.5),
        line(since=-1),
        line(blocked=1),
        line(key="0" * 5_000),
    ],
)
def test_a_line_that_is_no_account_is_named(wrong: str) -> None:
    with pytest.raises(ImportRefused, match="line 2:") as refused:
        list(read_accounts([line(), wrong]))
    assert refused.value.line == 2


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ImportRefused):
        list(read_accounts([text]))


def test_a_directory_that_is_made_for_them_is_the_nodes_alone(tmp_path: Path) -> None:
    provision(tmp_path / "new", [])
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
