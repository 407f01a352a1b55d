"""What a node is told that is a member of a cluster. Values only."""

import attrs

from node.founding import Place
from node.routing.settings import RoutingSettings
from replication.clustersettings import ClusterSettings


@attrs.frozen(kw_only=True)
class MemberSettings:
    """cluster: its links, rates and times; who the others are is in the data directory. place: what this node says of
    itself; None: what it said before. clients_move: whether phones are told of their primary's own address."""

    cluster: ClusterSettings
    place: Place | None = None
    routing: RoutingSettings = attrs.Factory(RoutingSettings)
    clients_move: bool = False
