"""What can be wrong with a write or a request to a replica, and what its caller can do about it."""


class ReplicationError(Exception):
    """Each says its cause and, as `remedy`, what to do."""

    remedy = ""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(f"{cause}; {self.remedy}" if self.remedy else cause)


class ClaimLost(ReplicationError):
    """This node doesn't serve the partition, or ceased to while the write was under way.

    A write that was under way may have happened, and may come to light when copies merge.
    """

    remedy = "ask who is primary, look whether the write is there, and write again if it isn't"


class WritersWait(ReplicationError):
    """More is written than copies can take: nothing of this write has happened."""

    remedy = "try again in a moment"


class NoMove(ReplicationError):
    """A planned move can't be made, or wasn't finished in time; the partition stays where it is."""

    remedy = "see whether the target is alive and its copy complete (status), then try again"


class UnknownMember(ReplicationError):
    """No member of the cluster has this id."""

    remedy = "name one of the configured members"
