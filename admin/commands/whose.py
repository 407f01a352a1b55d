"""Which node of a cluster has to be asked about a user, and how that is said.

An account is changed at the primary of its number, a session is at whichever node the phone came to; only the primary
knows that node. This module must never know what is asked.
"""

from admin.commands.table import CommandError, Context, OtherNode
from node.memberservice import MemberService
from node.routing.hosting import remote_of
from node.tables import USERS


def require_primary(context: Context, number: int) -> None:
    """Raise OtherNode, naming the node to ask, if another one is the primary of this number."""
    primary = _other_primary(context, number)
    if primary is not None:
        partition = context.node.service.partition_of(number)
        raise OtherNode(f"+{number} is in partition {partition}, which {primary} serves: ask there")


def require_no_session_elsewhere(context: Context, number: int) -> None:
    """Raise OtherNode if the user, who has no session here, may have one at another node; it names that one, or the
    one that knows it."""
    primary = _other_primary(context, number)
    if primary is not None:
        raise OtherNode(
            f"+{number} has no session on this node, and {primary} knows whether another has it: ask there"
        )
    service = context.node.service
    if isinstance(service, MemberService):
        remote = remote_of(service.router.state, number)
        if remote is not None:
            edge = _named(context, remote.peer.node)
            raise OtherNode(f"+{number} has no session on this node, but one on {edge}: ask there")


def _other_primary(context: Context, number: int) -> str | None:
    """Its name; None if it is this node, or there is no cluster.

    Raises:
        CommandError: it isn't known.
    """
    cluster = context.node.cluster
    if cluster is None:
        return None
    users, partition = cluster.group(USERS.name), context.node.service.partition_of(number)
    if users.serves(partition):
        return None
    primary = users.primary(partition)
    if primary is None or primary == cluster.me:
        raise CommandError(
            f"+{number} is in partition {partition}, which nobody serves as far as this node knows: try again"
        )
    return _named(context, primary)


def _named(context: Context, node: bytes) -> str:
    """With the address of its channel, if it has told that."""
    cluster = context.node.cluster
    assert cluster is not None
    row = cluster.membership.roster.members.get(node)
    return f"node {node.hex()} ({row.admin})" if row is not None and row.admin else f"node {node.hex()}"
