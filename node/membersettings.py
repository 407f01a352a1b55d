"""What a node is told that is a member of a cluster. Values only."""

import attrs

from node.routing.settings import RoutingSettings
from replication.clustersettings import ClusterSettings


@attrs.frozen(kw_only=True)
class MemberSettings:
    """cluster: who the others are, and where they are. clients_move: whether phones are told of their primary's own
    address."""

    cluster: ClusterSettings
    routing: RoutingSettings = attrs.Factory(RoutingSettings)
    clients_move: bool = False
