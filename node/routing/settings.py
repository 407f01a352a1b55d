"""The limits of routing. Their relations are checked when they are made."""

import attrs

from node.wire.limits import FRAME_MAX, RETRY_MS_MAX


@attrs.frozen(kw_only=True)
class RoutingSettings:
    """All durations in the unit that ends the name. Raises ValueError, naming option and remedy."""

    kept_messages_max: int = 200_000
    """Sends that an edge keeps until their primary has answered; beyond it senders are told `busy`."""
    kept_bytes_max: int = 128 * 1024 * 1024
    """Their bodies."""
    kept_part_messages_max: int = 20_000
    """The same for one partition, so that one that nobody serves doesn't take all the room."""
    kept_part_bytes_max: int = 16 * 1024 * 1024
    patience_ms: int = 5_000
    """How long sends to a partition that nobody serves, or whose primary is out of reach, are kept before their senders
    are told `busy`: longer than a takeover takes."""
    answer_ms_max: int = 15_000
    """A send that a primary hasn't answered for so long, over a link that stands, is answered `busy`."""
    reopen_ms: int = 500
    """How often an edge tries a partition again of which it has heard nothing; and for how long a primary lets a link
    rest that was full, before it has an edge say anew what was missed."""
    retry_ms: int = 1_000
    """Told to a phone that is to come back."""
    asks_max: int = 10_000
    """Account requests under way to other nodes; and so many registrations that wait for pledges."""
    ask_ms_max: int = 8_000
    """How long one may take, however many nodes it was put to."""
    origins_max: int = 200_000
    """Senders at other edges of whom it is known where they spoke last; the one that was silent longest goes."""
    told_max: int = 64
    """Recipients of one session to which it was told to come back: what it had sent them meanwhile is passed over."""

    rest_ms: int = 10_000
    """So long after something was said to a session at another edge it is looked whether that goes on. If not, memory
    keeps a row of it."""

    def __attrs_post_init__(self) -> None:
        for name, low, high in (
            ("kept_messages_max", 1, 100_000_000),
            ("kept_bytes_max", FRAME_MAX, 1 << 40),
            ("kept_part_messages_max", 1, 100_000_000),
            ("kept_part_bytes_max", FRAME_MAX, 1 << 40),
            ("patience_ms", 1, 600_000),
            ("answer_ms_max", 1, 600_000),
            ("reopen_ms", 1, 600_000),
            ("retry_ms", 1, RETRY_MS_MAX),
            ("asks_max", 1, 10_000_000),
            ("ask_ms_max", 1, 600_000),
            ("origins_max", 1, 100_000_000),
            ("told_max", 1, 10_000_000),
            ("rest_ms", 1, 600_000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"routing.{name} is {value}: choose a value from {low} to {high}")
        if self.patience_ms > self.answer_ms_max:
            raise ValueError("routing.patience_ms is above routing.answer_ms_max: lower it")
