"""What can be wrong with a request to a replicated group, on whichever node. What the core refuses: `core.errors`."""

from replication.core.errors import ReplicationError


class NotServed(ReplicationError):
    """Nobody that this node reaches serves the partition, or took the write in time."""

    remedy = "see with status which nodes hold its copies, and which of them are up; then try again"


class GroupGone(ReplicationError):
    """The group was deleted."""

    remedy = "look at the schema (Schema.groups); if it was made again, take its new handle"


class NotOnePartition(ReplicationError):
    """What happens together happens in one partition, under one claim."""

    remedy = "write to each partition on its own; or divide keys so that what changes together is in one"


class NoProcedure(ReplicationError):
    """A call names something that isn't registered."""

    remedy = "register it on every node when the cluster is opened"
