"""A cluster that begins with one directory, new or used by a node that stood alone; and who may not start on which."""

from pathlib import Path

import pytest
import trio

from node.accounts.provision import provision
from node.founding import (
    AlreadyMember,
    NameRefused,
    Place,
    WrongStart,
    found,
    join,
    name_of,
    refuse_used,
    require_alone,
    require_member,
)
from node.hub.settings import ListenerSettings
from node.membersettings import MemberSettings
from node.running import NodeSettings, run_node
from node.tables import GROUPS, STORE_DIRECTORY, USERS
from replication.claim import Claim, claim_alone
from replication.clustersettings import ClusterSettings
from replication.identity import ensure_identity, read_identity
from replication.membership.errors import JoinRefused
from replication.membership.keeping import Kept
from replication.membership.member import Member
from replication.tables import CLUSTER, REPLICA
from replication.zeromq.keys import read_keys
from store.store import Store
from tests.node.live import ADDRESS, Device

PLACE = Place(address="127.0.0.1:7500", public="chat:1", server="s1", rack="r1", weight=7)


def opened(data: Path) -> Store:
    return Store.open(data / STORE_DIRECTORY, GROUPS, committer="inline")


def test_a_new_directory_is_the_first_members(tmp_path: Path) -> None:
    founded = found(tmp_path, "town", PLACE)
    assert founded.kept == 0, "there is nothing that would have to be claimed"
    with opened(tmp_path) as store:
        (row,) = Kept(store).read()
        assert isinstance(row, Member)
        assert (row.node, row.key) == (founded.node, read_keys(tmp_path).public)
        assert (row.address, row.public, row.server, row.rack, row.weight) == (
            PLACE.address, PLACE.public, PLACE.server, PLACE.rack, PLACE.weight,
        )  # fmt: skip
        assert name_of(store) == row.cluster == "town"
        assert require_member(store).node == founded.node
        with pytest.raises(WrongStart, match=r"cluster\.listen"):
            require_alone(store)


async def _stood_alone(data: Path) -> dict[int, Claim]:
    with Store.open(data / STORE_DIRECTORY, GROUPS) as store:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            identity = await ensure_identity(store.group(CLUSTER.name))
            claims = await claim_alone(store.group(CLUSTER.name), identity.node, identity.partitions)
            nursery.cancel_scope.cancel()
    return claims


def test_what_stood_alone_is_the_first_copy_under_higher_claims(tmp_path: Path) -> None:
    alice = Device.of(1)
    provision(tmp_path, [(alice.user, alice.key, alice.stream)])
    trio.run(_stood_alone, tmp_path)
    before = trio.run(_stood_alone, tmp_path)
    with opened(tmp_path) as store:
        identity = read_identity(store.group(CLUSTER.name))
        require_alone(store)
        with pytest.raises(WrongStart, match="waystation cluster init"):
            require_member(store)
    assert identity is not None
    founded = found(tmp_path, "town", PLACE)
    assert (founded.node, founded.kept) == (identity.node, 1_024), "the node keeps its id"
    with opened(tmp_path) as store:
        assert read_identity(store.group(CLUSTER.name)) == identity, "users stay where they are"
        users = store.group(USERS.name)
        rows = dict(users.table(REPLICA.name).prefix((), None, 5_000))
        assert users.table("account").count() == 1
    for p, claim in before.items():
        assert Claim.from_row(rows["claim", p]) == Claim(claim.epoch + 1, identity.node)
        assert rows["copy", p] == [1, claim.epoch + 1]


def test_accounts_that_were_imported_are_kept_also_if_no_node_ever_ran(tmp_path: Path) -> None:
    alice = Device.of(1)
    provision(tmp_path, [(alice.user, alice.key, alice.stream)])
    assert found(tmp_path, "town", PLACE).kept == 1_024


def test_a_cluster_begins_once_and_has_a_name(tmp_path: Path) -> None:
    for name in ("", "x" * 65, " town", "to\nwn"):
        with pytest.raises(NameRefused):
            found(tmp_path, name, PLACE)
    found(tmp_path, "town", PLACE)
    with pytest.raises(AlreadyMember, match="empty data directory"):
        found(tmp_path, "another", PLACE)


def test_a_node_that_was_used_joins_nobody(tmp_path: Path) -> None:
    refuse_used(tmp_path)
    provision(tmp_path, [])
    with pytest.raises(JoinRefused, match="empty data directory"):
        refuse_used(tmp_path)
    with pytest.raises(JoinRefused):
        join(tmp_path, "k" * 40, "127.0.0.1:1", PLACE)


async def test_neither_starts_as_the_other(tmp_path: Path) -> None:
    member, alone = tmp_path / "member", tmp_path / "alone"
    await trio.to_thread.run_sync(found, member, "town", PLACE)
    listeners = (ListenerSettings(ADDRESS, 0),)
    with pytest.raises(WrongStart, match="is that of a cluster's member"):
        await run_node(NodeSettings(data=member, listeners=listeners), lambda _: None, trio.Event())
    told = MemberSettings(cluster=ClusterSettings(data=alone, name=""))
    settings = NodeSettings(data=alone, listeners=listeners, member=told)
    with pytest.raises(WrongStart, match="belongs to no cluster"):
        await run_node(settings, lambda _: None, trio.Event())
