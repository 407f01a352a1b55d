"""A cluster that begins with one node: what `waystation cluster init` writes into a data directory, new or one that a
node used which stood alone. Its users stay: what it has of a partition is the first copy, under a claim above its last.

The node must be stopped. This module must never open a link.
"""

from pathlib import Path
from typing import Any, Final

import attrs
import trio

from node.accounts.tables import ACCOUNT
from node.tables import GROUPS, STORE_DIRECTORY, USERS
from node.takeover import take_over
from replication.claim import Claim, read_claims
from replication.clustersettings import SPEAKS
from replication.core.state import LIVE
from replication.identity import Identity, ensure_identity, read_identity
from replication.membership import joining
from replication.membership.errors import JoinRefused
from replication.membership.joining import Joined
from replication.membership.keeping import Kept
from replication.membership.member import ACTIVE, Member
from replication.tables import CLUSTER, REPLICA
from replication.zeromq.address import Address
from replication.zeromq.keys import ensure_keys
from store.directory import MARKER, make_directory
from store.group import OpenGroup
from store.store import Store
from store.writes import PUT, Write

NAME_CHARACTERS_MAX: Final = 64
UNSAID: Final = -1
"""For a weight."""


class FoundingError(Exception):
    """Common ancestor: cause and remedy."""


class AlreadyMember(FoundingError):
    """The directory belongs to a cluster."""


class NameRefused(FoundingError):
    """A cluster can't be called so."""


class WrongStart(FoundingError):
    """A member's directory was started as a node that stands alone, or the other way round."""


@attrs.frozen(kw_only=True)
class Place:
    """What a node says of itself, see `replication.membership.member`. What is empty, or UNSAID, it doesn't say."""

    address: str
    public: str = ""
    server: str = ""
    rack: str = ""
    weight: int = UNSAID

    def said(self) -> dict[str, Any]:
        """By name, without what it doesn't say."""
        return {name: value for name, value in attrs.asdict(self).items() if value not in ("", UNSAID)}


@attrs.frozen
class Founded:
    """node: its id. key: its public key. kept: how many partitions with what a lone node had are its first copies."""

    node: bytes
    key: str
    kept: int


def found(data: Path, name: str, place: Place) -> Founded:
    """Make a data directory, new or used, that of the first member of a cluster. Blocks for the disk.

    Raises:
        NameRefused, AlreadyMember: nothing was changed.
        StoreError, DamagedIdentity, KeyFileExposed, KeyFileDamaged
    """
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable() or name != name.strip():
        raise NameRefused(f"{name!r} is no name: choose 1 to {NAME_CHARACTERS_MAX} printable characters")
    make_directory(data)
    take_over(data)
    return trio.run(_found, data, name, place)


async def _found(data: Path, name: str, place: Place) -> Founded:
    with Store.open(data / STORE_DIRECTORY, GROUPS) as store:
        kept = Kept(store)
        if kept.read():
            raise AlreadyMember(
                f"{data} belongs to a cluster already; for another one, begin with an empty data directory"
            )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            group = store.group(CLUSTER.name)
            identity = await ensure_identity(group)
            await group.commit([(PUT, group.table("identity").id, ("name",), name)])
            key = ensure_keys(data).public
            partitions = await _claim(store, identity)
            # The row comes last: with it the directory is a member's.
            row = Member(
                node=identity.node,
                counter=1,
                editor=identity.node,
                state=ACTIVE,
                key=key,
                cluster=name,
                **place.said(),
            )
            await kept.keep([row])
            nursery.cancel_scope.cancel()
    return Founded(identity.node, key, partitions)


async def _claim(store: Store, identity: Identity) -> int:
    """What stood alone is complete here, under claims of this node's above those that it had."""
    claims = read_claims(store.group(CLUSTER.name), identity.partitions)
    users = store.group(USERS.name)
    is_used = bool(claims) or users.table(ACCOUNT.name).count() > 0  # accounts are imported without a claim
    if users.table(REPLICA.name).count() or not is_used:
        return 0
    await users.commit(_rows(users, claims, identity))
    return identity.partitions


def _rows(users: OpenGroup, claims: dict[int, Claim], identity: Identity) -> list[Write]:
    table = users.table(REPLICA.name).id
    writes: list[Write] = []
    for p in range(identity.partitions):
        claim = Claim(claims[p].epoch + 1 if p in claims else 1, identity.node)
        writes.append((PUT, table, ("claim", p), claim.row()))
        writes.append((PUT, table, ("copy", p), [LIVE, claim.epoch]))
    return writes


def require_alone(store: Store) -> None:
    """Raise WrongStart if the directory is a member's: a node that stood alone would write what the others never
    hear of."""
    if Kept(store).read():
        raise WrongStart(
            f"{store.path} is that of a cluster's member, and no other nodes are configured: set cluster.listen to its"
            " address; or, for a node that stands alone, take another data directory"
        )


def require_member(store: Store) -> Identity:
    """Raise WrongStart if it isn't."""
    identity = read_identity(store.group(CLUSTER.name))
    if identity is None or not Kept(store).read():
        raise WrongStart(
            f"cluster.listen is set, and {store.path} belongs to no cluster: begin one (`waystation cluster init`), or"
            " let this node join one with `waystation cluster join`"
        )
    return identity


def name_of(store: Store) -> str:
    """The name of the cluster that a member's directory belongs to."""
    name = store.group(CLUSTER.name).table("identity").get(("name",))
    return name if isinstance(name, str) else ""


def join(data: Path, key: str, member: str, place: Place) -> Joined:
    """Let a data directory without tables be that of a member: ask another one, whose public key and address these
    are, to be let in, and write down what it tells.

    Raises:
        JoinRefused, AddressUnusable: nothing was written.
        StoreError, KeyFileExposed, KeyFileDamaged
    """
    return trio.run(_join, data, key, member, place)


async def _join(data: Path, key: str, member: str, place: Place) -> Joined:
    make_directory(data)
    keys = ensure_keys(data)
    refuse_used(data)
    joined = await joining.ask(
        keys, key, Address.parse(member), address=place.address, public=place.public, speaks=SPEAKS
    )
    with Store.open(data / STORE_DIRECTORY, GROUPS) as store:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            await joining.keep(store.group(CLUSTER.name), joined)
            nursery.cancel_scope.cancel()
    return joined


def refuse_used(data: Path) -> None:
    """Raise JoinRefused if there is anything in a directory that a new member would have to give up."""
    path = data / STORE_DIRECTORY
    if not (path / MARKER).is_file():
        return
    with Store.open(path, GROUPS, read_only=True, committer="inline") as store:
        used = read_identity(store.group(CLUSTER.name)) is not None
    if used:
        raise JoinRefused(f"{data} belongs to a node already: join with an empty data directory")
