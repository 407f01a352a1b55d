"""The cluster that a node is a member of, changed from any of its nodes."""

from collections.abc import Mapping
from typing import Any, Final

from admin.commands.table import SECONDS_MAX, Command, CommandError, Context, Parameter, Role
from node.tables import USERS
from replication.cluster import Cluster
from replication.core.errors import ReplicationError
from replication.membership.member import WEIGHT_MAX
from replication.zeromq.address import Address
from replication.zeromq.errors import AddressUnusable
from store.errors import StoreError, StoreFatal

MOVE_S: Final = 90.0
ROTATE_S: Final = 60.0
ID_DIGITS_LEAST: Final = 4

_NODE: Final = Parameter(
    name="node", help="Its id, or the first digits of it, at least 4, as cluster status shows it."
)
_YES: Final = Parameter(
    name="yes", help="Yes, this is meant.", kind="flag", option=True, required=False, default=False
)


def _cluster(context: Context) -> Cluster:
    cluster = context.node.cluster
    if cluster is None:
        raise CommandError(
            "this node stands alone: a cluster begins with `waystation cluster init`, while the node is stopped"
        )
    return cluster


def _node(cluster: Cluster, given: str) -> bytes:
    """The one member that is meant."""
    if len(given) < ID_DIGITS_LEAST:
        raise CommandError(f"{given!r} is too short for an id: give at least {ID_DIGITS_LEAST} digits")
    found = [node for node in cluster.membership.roster.members if node.hex().startswith(given.lower())]
    if len(found) != 1:
        many = "no member has" if not found else f"{len(found)} members have"
        raise CommandError(f"{many} an id that begins with {given!r}: see cluster status")
    return found[0]


class Done:
    """Turns what the cluster refuses into an answer."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, StoreFatal):
            return
        if isinstance(error, StoreError):
            raise CommandError(f"it can't be written now: {error}") from None
        if isinstance(error, ReplicationError | ValueError):
            raise CommandError(str(error)) from None


async def _invite(context: Context, arguments: Mapping[str, Any]) -> Any:
    cluster = _cluster(context)
    own = cluster.membership.own
    with Done():
        node = await cluster.operate.invite(
            arguments["key"],
            server=arguments["server"],
            rack=arguments["rack"],
            weight=arguments["weight"],
            cluster=arguments["cluster"],
        )
    return {"node": node.hex(), "join": f"{own.key}@{own.address}"}


_CHANGES: Final = ("weight", "server", "rack", "address", "public")
NOWHERE: Final = "none"
"""Phones aren't sent to a member whose `public` this is."""


def _place(name: str, text: str) -> str:
    """What stands in the row of an address that is given."""
    if name == "public" and text == NOWHERE:
        return ""
    try:
        Address.parse(text)
    except AddressUnusable as error:
        raise CommandError(f"--{name}: {error.cause}: write host:port") from None
    return text


async def _change(context: Context, arguments: Mapping[str, Any]) -> Any:
    cluster = _cluster(context)
    if arguments["listen"] is not None:
        raise CommandError(
            "where a node listens isn't changed while it runs: set listen in [cluster] of its configuration, and"
            " address if that is set there, and restart the node: it hands over what it serves first, and tells the"
            " others where it is when it is back. Nothing was changed"
        )
    changes = {name: arguments[name] for name in _CHANGES if arguments[name] is not None}
    if not changes:
        raise CommandError(f"say what is to be changed: --{', --'.join(_CHANGES)}")
    for name in ("address", "public"):
        if name in changes:
            changes[name] = _place(name, changes[name])
    node = _node(cluster, arguments["node"])
    with Done():
        await cluster.operate.change(node, **changes)
    return {"node": node.hex(), **changes}


async def _leave(context: Context, arguments: Mapping[str, Any]) -> Any:
    cluster = _cluster(context)
    if not arguments["yes"]:
        raise CommandError(
            f"this node would hand over {cluster.operate.held()} copies, and be a member no more, for good: add --yes"
        )
    with Done():
        await cluster.operate.leave()
    return {"left": True, "node": cluster.me.hex()}


async def _stay(context: Context, arguments: Mapping[str, Any]) -> Any:
    cluster = _cluster(context)
    with Done():
        await cluster.operate.stay()
    return {"node": cluster.me.hex(), "held": cluster.operate.held()}


async def _remove(context: Context, arguments: Mapping[str, Any]) -> Any:
    cluster = _cluster(context)
    node = _node(cluster, arguments["node"])
    operate = cluster.operate
    with Done():
        losses = await (operate.remove(node) if arguments["yes"] else operate.losses(node))
    return {
        "node": node.hex(),
        "removed": arguments["yes"],
        "may_be_lost": len(losses.lost),
        "partitions": [
            {"group": one.group, "partition": one.partition, "why": one.why} for one in losses.lost
        ],
        "not_answered": [{"node": one.hex()} for one in losses.silent],
        "hint": _hint(cluster, node) if not arguments["yes"] else "",
    }


def _hint(cluster: Cluster, node: bytes) -> str:
    if cluster.is_alive(node):
        return (
            "nothing was changed: it is alive, so let it leave (cluster leave); it is removed when it is dead"
        )
    return "nothing was changed: add --yes to remove it for good"


def _require_partition(cluster: Cluster, partition: int) -> None:
    count = cluster.groups[USERS.name].placed.partitions
    if partition >= count:
        raise CommandError(f"there is no partition {partition}: they are numbered from 0 to {count - 1}")


async def _move(context: Context, arguments: Mapping[str, Any]) -> Any:
    cluster = _cluster(context)
    node, partition = _node(cluster, arguments["node"]), arguments["partition"]
    _require_partition(cluster, partition)
    with Done():
        if cluster.groups[USERS.name].primary(partition) != node:
            await cluster.operate.move(USERS.name, partition, node)
    return {"partition": partition, "primary": node.hex()}


async def _assign(context: Context, arguments: Mapping[str, Any]) -> Any:
    first, last = arguments["first"], arguments["last"]
    if last < first:
        raise CommandError(f"{first} to {last}: the first partition comes first")
    cluster = _cluster(context)
    _require_partition(cluster, last)
    with Done():
        await cluster.operate.assign(range(first, last + 1), arguments["cluster"])
    return {"partitions": last - first + 1, "cluster": arguments["cluster"]}


async def _rebalance(context: Context, arguments: Mapping[str, Any]) -> Any:
    return {"to_move": _cluster(context).operate.rebalance()}


async def _rotate(context: Context, arguments: Mapping[str, Any]) -> Any:
    cluster = _cluster(context)
    with Done():
        return {"node": cluster.me.hex(), "key": await cluster.operate.rotate_key()}


COMMANDS: Final = (
    Command(
        name="cluster invite",
        role=Role.OPERATOR,
        summary="Let a node join, whose key this is.",
        help=(
            "The key is what `waystation cluster key` prints on the new node. From now on it may join by naming any"
            " member; the result says how this one is named. It holds nothing before it runs. --server says what it"
            " stands on: copies of a partition are kept on different servers. cluster remove takes an invitation back."
        ),
        example="cluster invite u8y=kwU^nI=b42}&A2GZh7XZ%Y1J@#-F[+iI>oWx --server b",
        parameters=(
            Parameter(name="key", help="The new node's public key, 40 characters."),
            Parameter(name="server", help="What it stands on.", option=True, required=False, default=""),
            Parameter(
                name="rack", help="What its server stands in.", option=True, required=False, default=""
            ),
            Parameter(
                name="weight",
                help="Its share of the partitions, relative to the others'.",
                kind="integer",
                option=True,
                required=False,
                default=100,
                low=0,
                high=WEIGHT_MAX,
            ),
            Parameter(
                name="cluster",
                help="The label of another cluster, that it begins or belongs to.",
                option=True,
                required=False,
                default="",
            ),
        ),
        run=_invite,
    ),
    Command(
        name="cluster change",
        role=Role.OPERATOR,
        summary="Give a member another weight, other labels, or other addresses.",
        help=(
            "Partitions and copies follow by and by, at the rate of cluster.moves_per_s. Weight 0 empties a node, which"
            " stays a member. --address is where others reach it, if not where it listens: their links"
            " to it end and are made anew there, and what waited in them is said again. A wrong one cuts it off until"
            " it is changed on another member. --public is where phones are sent that are to go to it. What a node's"
            " configuration says of it, if anything, holds again from its next start on."
        ),
        example="cluster change 1f3a --weight 50",
        parameters=(
            _NODE,
            Parameter(
                name="weight",
                help="Its share of the partitions.",
                kind="integer",
                option=True,
                required=False,
                low=0,
                high=WEIGHT_MAX,
            ),
            Parameter(name="server", help="What it stands on.", option=True, required=False),
            Parameter(name="rack", help="What its server stands in.", option=True, required=False),
            Parameter(name="address", help="Where others reach it, host:port.", option=True, required=False),
            Parameter(
                name="listen", help="Where it listens: this takes a restart.", option=True, required=False
            ),
            Parameter(
                name="public",
                help="Where phones find it and no other, host:port; none: they aren't sent to it.",
                option=True,
                required=False,
            ),
        ),
        run=_change,
    ),
    Command(
        name="cluster leave",
        role=Role.OPERATOR,
        summary="Let this node hand over everything, and be a member no more.",
        help=(
            "Every partition that it serves moves to another member: senders to its users wait for less than half a"
            " second, and nothing is lost; a move that would take longer is given up, and made again;"
            " copies that it holds are made elsewhere first. Then it is removed for good, and stops. It takes as long"
            " as that takes; ended before its time it goes on all the same, and cluster stay is the way back."
        ),
        example="cluster leave --yes",
        parameters=(_YES,),
        run=_leave,
        seconds_max=SECONDS_MAX,
    ),
    Command(
        name="cluster stay",
        role=Role.OPERATOR,
        summary="Let this node stay a member that was about to leave.",
        help=(
            "What it has handed over comes back by and by, as after any change of members. Nothing happens if it"
            " wasn't leaving."
        ),
        example="cluster stay",
        run=_stay,
    ),
    Command(
        name="cluster remove",
        role=Role.OPERATOR,
        summary="Remove a member that never returns.",
        help=(
            "Without --yes nothing is changed: it shows, partition by partition, what may be lost with that node, as"
            " far as the members of its cluster know; not_answered lists those that didn't say. With --yes its keys"
            " open nothing any more, what it was primary of is served by others, and copies are made anew. It is final:"
            " a node that was removed joins again only with another key and an empty directory. One that isn't known to"
            " be dead is refused: let it leave, or stop it and wait. One of another cluster is removed by a member of"
            " that one, as long as any is there."
        ),
        example="cluster remove 1f3a --yes",
        parameters=(_NODE, _YES),
        run=_remove,
    ),
    Command(
        name="cluster move",
        role=Role.OPERATOR,
        summary="Move a partition to another member.",
        help=(
            "The target must have a complete copy, or gets one first. The partition stands still for less than half a"
            " second, and nothing is lost or overtaken. The rebalancer brings it back to where it is wanted after a"
            " while, unless cluster.rebalance is off."
        ),
        example="cluster move 17 1f3a",
        parameters=(
            Parameter(name="partition", help="Its number.", kind="integer", low=0, high=65_535),
            _NODE,
        ),
        run=_move,
        seconds_max=MOVE_S,
    ),
    Command(
        name="cluster assign",
        role=Role.OPERATOR,
        summary="Let another cluster own some partitions.",
        help=(
            "Clusters that know one another each own some of the partitions; a member of another one is invited with"
            " --cluster LABEL. Planned moves bring the partitions there while their users talk, order and all. At first"
            " everything belongs to the cluster that invited the others; cluster status says who owns how many."
        ),
        example="cluster assign 0 511 south",
        parameters=(
            Parameter(name="first", help="The first partition.", kind="integer", low=0, high=65_535),
            Parameter(name="last", help="The last one.", kind="integer", low=0, high=65_535),
            Parameter(name="cluster", help="The label of the cluster."),
        ),
        run=_assign,
    ),
    Command(
        name="cluster rebalance",
        role=Role.OPERATOR,
        summary="Bring what this node serves to where it is wanted, now.",
        help=(
            "It happens by itself when the members have been the same for a while (cluster.calm_ms). This doesn't wait"
            " for that. The result says how many partitions this node is to move; cluster status shows how far it is."
        ),
        example="cluster rebalance",
        run=_rebalance,
    ),
    Command(
        name="cluster rotate-key",
        role=Role.OPERATOR,
        summary="Give this node another key, while everything runs.",
        help=(
            "All members hear of the new key first, so all of them must be there; then the node's links are made anew"
            " with it, and the old key opens nothing any more. The result is the new public key. Phones notice nothing."
        ),
        example="cluster rotate-key",
        run=_rotate,
        seconds_max=ROTATE_S,
    ),
)
