"""The limits of mail. Their relations are checked when they are made, so that no node starts with windows that
contradict each other."""

import attrs

from node.wire.limits import FRAME_MAX, RETRY_MS_MAX, WINDOW_MAX

DAY_MS = 86_400_000
MAILBOX_MESSAGES_MAX = 20_000
"""Unless set otherwise."""


@attrs.frozen(kw_only=True)
class MailSettings:
    """All durations in the unit that ends the name. Raises ValueError, naming option and remedy."""

    sync_delay_ms: int = 10
    """How long a message that was offered to an online recipient waits for the ack before it is written."""
    sync_delay_ms_max: int = 100
    """How far that is drawn out by itself while messages are acknowledged just as they are being written (`pacing`).
    Not above it: never."""
    sync_first: bool = False
    """Write every message before it is handed over, online recipient or not."""
    flush_delay_ms: int = 1_000
    """How long acknowledgements gather before their pair is written."""
    window: int = 64
    """Messages that one session may hold unacknowledged."""
    window_bytes: int = 512 * 1024
    """Their bytes; one message always fits."""
    pair_share: int = 32
    """Messages of one pair within a session's window, so that one stuck pair doesn't block a mailbox."""
    mailbox_messages_max: int = MAILBOX_MESSAGES_MAX
    mailbox_bytes_max: int = 64 * 1024 * 1024
    pending_bytes_max: int = 64 * 1024 * 1024
    """Bodies held in memory until they are written or acknowledged; beyond it senders are told `busy`."""
    commit_messages_max: int = 2_000
    """Messages in one commit."""
    commit_lag_ms_max: int = 5_000
    """When the running commit has taken longer than this, senders are told `busy`."""
    busy_retry_ms: int = 1_000
    full_retry_ms: int = 60_000
    send_rate: float = 200.0
    """Messages a second that one device may send, over time."""
    send_burst: int = 1_000
    pairs_cached_max: int = 100_000
    loads_waiting_max: int = 10_000
    """Events that wait until their pair is read from the store."""
    tell_unknown: bool = False
    """Whether a sender learns that a number is not registered."""
    client_retry_days: int = 7
    message_age_days: int = 30
    pair_retention_days: int = 60
    sweep_interval_s: float = 1.0
    """How often a slice of the store is searched for what has grown too old."""
    sweep_pairs: int = 256
    """How many pairs such a slice holds."""

    def __attrs_post_init__(self) -> None:
        for name, low, high in (
            ("sync_delay_ms", 0, 10_000),
            ("sync_delay_ms_max", 0, 10_000),
            ("flush_delay_ms", 1, 60_000),
            ("window", 1, WINDOW_MAX),
            ("window_bytes", FRAME_MAX, 1 << 40),  # one message must fit, as in the next two
            ("pair_share", 1, WINDOW_MAX),
            ("mailbox_messages_max", 1, 10_000_000),
            ("mailbox_bytes_max", FRAME_MAX, 1 << 40),
            ("pending_bytes_max", FRAME_MAX, 1 << 40),
            ("commit_messages_max", 1, 100_000),
            ("commit_lag_ms_max", 1, 600_000),
            ("busy_retry_ms", 1, RETRY_MS_MAX),
            ("full_retry_ms", 1, RETRY_MS_MAX),
            ("send_rate", 0.001, 1_000_000),
            ("send_burst", 1, 1_000_000),
            ("pairs_cached_max", 1, 100_000_000),
            ("loads_waiting_max", 1, 1_000_000),
            ("client_retry_days", 1, 3_650),
            ("message_age_days", 1, 3_650),
            ("pair_retention_days", 1, 3_650),
            ("sweep_interval_s", 0.01, 86_400),
            ("sweep_pairs", 1, 100_000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"mail.{name} is {value}: choose a value from {low} to {high}")
        if self.pair_share > self.window:
            raise ValueError("mail.pair_share is above mail.window: lower it")
        if not self.client_retry_days < self.message_age_days < self.pair_retention_days:
            raise ValueError(
                "mail: client_retry_days < message_age_days < pair_retention_days must hold; a pair that is forgotten"
                " while its sender may still retry would let a message come twice"
            )
