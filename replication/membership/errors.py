"""What can't be done to the members of a cluster: a cause, and what to do about it."""

from replication.core.errors import ReplicationError


class MembershipError(ReplicationError):
    """Common ancestor."""


class NoSuchMember(MembershipError):
    """No node of this id belongs to the cluster."""

    remedy = "look at the members with `status`"


class MemberRemoved(MembershipError):
    """The node was removed, and that is final."""

    remedy = "invite the node again under a new key, with an empty data directory"


class KeyTaken(MembershipError):
    """A member has this key already, or had it once."""

    remedy = "make a new key pair for the node, in an empty data directory"


class RosterFull(MembershipError):
    """There is no room for one more member."""

    remedy = "let members leave; of ROWS_MAX, which counts removed ones: begin the cluster anew"


class NotNow(MembershipError):
    """The cluster isn't in a state in which this can be done."""

    remedy = "see with `status` who is alive and what is under way, and try again"


class OwnerAway(MembershipError):
    """A majority of the cluster that owns partitions doesn't hear that another one is to own them."""

    remedy = (
        "wait until most of its members are reached; if they are, and run a release that doesn't say what others have, "
        "bring them on first; if they never return, `cluster remove` each of them first"
    )


class JoinRefused(MembershipError):
    """A node isn't let in."""

    remedy = "invite its public key on a member, and name that member's key and address"
