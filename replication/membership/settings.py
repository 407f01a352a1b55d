"""Times and rates of members that come, go and change places."""

import attrs


@attrs.frozen(kw_only=True)
class MembershipSettings:
    """Times in milliseconds, unless the name says otherwise.

    Args:
        exchange_ms: between two questions of this node about what differs; a change is told to all at once, so these
            only mend what was lost.
        moves_per_s: partitions that this node moves to where they are wanted, at most.
        moves_max: of them at once.
        calm_ms: how long everybody must have been what he is before anything is moved back: a node that comes and goes
            moves nothing.
        far_idle_ms: how long a node of another cluster is a peer when there is nothing to say to it any more.
        rebalance: whether partitions are moved by themselves when it is calm.
        stop_moves_s: how long a member that stops may hand over what it serves, at most; 0: it hands over nothing.
    """

    exchange_ms: int = 1_000
    moves_per_s: float = 4.0
    moves_max: int = 4
    calm_ms: int = 30_000
    far_idle_ms: int = 60_000
    rebalance: bool = True
    stop_moves_s: float = 10.0

    def __attrs_post_init__(self) -> None:
        for name, low, high in (
            ("exchange_ms", 10, 60_000),
            ("moves_per_s", 0.01, 10_000),
            ("moves_max", 1, 1_000),
            ("calm_ms", 0, 86_400_000),
            ("far_idle_ms", 100, 86_400_000),
            ("stop_moves_s", 0, 30),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"cluster.{name} is {value}: choose a value from {low} to {high}")
