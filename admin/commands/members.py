"""Who is of the cluster, and where each member is operated: what a terminal asks one of them to reach all."""

from collections.abc import Mapping
from typing import Any, Final

from admin.commands.table import Command, Context, Role
from replication.membership.member import STATES


async def _members(context: Context, arguments: Mapping[str, Any]) -> Any:
    cluster = context.node.cluster
    if cluster is None:
        return {"node": context.node.node.hex(), "name": "", "members": []}
    roster, own = cluster.membership.roster, cluster.membership.own
    rows = [row for row in roster.members.values() if row.cluster == own.cluster and row.belongs]
    return {
        "node": cluster.me.hex(),
        "name": cluster.settings.name,
        "members": [
            {
                "node": row.node.hex(),
                "state": STATES[row.state],
                "alive": cluster.is_alive(row.node),
                "server": row.server,
                "admin": row.admin,
                "admin_key": row.admin_key,
            }
            for row in sorted(rows, key=lambda row: row.node)
        ],
    }


COMMANDS: Final = (
    Command(
        name="cluster members",
        role=Role.VIEWER,
        summary="Members of this cluster, and where each is operated.",
        help=(
            "Of each active or leaving member: whether this node hears it, the address of its admin channel, and the"
            " public key by which it is known there; it is what --all goes by. An address that begins with ipc:// is a"
            " socket on that member's machine; none means that it has no channel, or is of an older release. On a node"
            " that stands alone there are none."
        ),
        example="cluster members",
        run=_members,
    ),
)
