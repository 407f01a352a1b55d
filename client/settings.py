"""Every limit and every time of the client, with how they must relate.

This module must never know what uses a setting.
"""

import attrs

from node.wire.limits import BODY_MAX, WINDOW_MAX


@attrs.frozen(kw_only=True)
class Settings:
    """Seconds for times, bytes for sizes, counts for the rest. The defaults suit a phone or a bot."""

    outbox_max: int = 4_096
    """Messages unaccepted, and refusals that the app hasn't seen; more raise OutboxFull."""
    outbox_bytes_max: int = 33_554_432
    recipients_max: int = 100_000

    in_flight_max: int = 256
    """Messages sent and not yet answered, to all recipients together."""
    in_flight_bytes_max: int = 1_048_576
    in_flight_recipient_max: int = 64
    """The same to one recipient, so that one stuck conversation doesn't stop the others."""

    inbox_max: int = 2_048
    """Messages that the app hasn't acked. From there on nothing is acked to the node, which then stops sending
    after its window: the state holds at most inbox_max + the node's window."""
    handover_max: int = 256
    """Messages held in memory on their way to the app; the rest stays in the state."""
    senders_max: int = 100_000
    """(sender, stream) pairs whose received numbers are remembered; the least recently heard is forgotten."""
    intervals_max: int = 1_024
    """Intervals of one set of numbers; the lowest is forgotten."""

    lazy_writes_max: int = 1_024
    """Writes whose loss costs only a repeat on the wire wait for the next commit, this many …"""
    lazy_delay: float = 1.0
    """… and this long."""

    connect_timeout: float = 15.0
    """For the name, TCP and TLS together."""
    answer_timeout: float = 20.0
    """For the server's answer to hello and to login, and to a PIN request or registration."""
    request_timeout: float = 60.0
    """How long request_pin and register try, reconnecting; then they raise NoConnection."""
    send_timeout: float = 60.0
    """A message sent and not answered at all for so long is sent again; twice as long after each refusal that may be of
    an earlier copy."""
    repeat_after: float = 30.0
    """Acks and read marks that the node hasn't confirmed for so long are said again."""
    retry_max: float = 7 * 86_400.0
    """A message unaccepted for so long is given up. It must be shorter than what the node remembers of a
    conversation (60 days by default), or a message that it had accepted could come twice."""
    ping_after: float = 60.0
    """Silence after which the server is asked for a sign of life."""
    ping_timeout: float = 15.0
    busy_min: float = 0.1
    """The least wait after `busy`, whatever the node says; twice as long each time, until something is accepted …"""
    busy_max: float = 5.0
    """… up to this, or what the node says if that is longer."""
    backoff_min: float = 0.5
    """The first wait before reconnecting; each further one is twice as long, with jitter."""
    backoff_max: float = 60.0
    cut_spread: float = 15.0
    """A logged-in connection that the other side cut off without a word, as a node does that dies with all of its
    phones, is followed by a wait of up to so long, chosen by chance, but for an app that sends something."""
    stable_after: float = 10.0
    """A connection that was logged in for so long starts the backoff afresh."""
    follow_moves: bool = True
    """Whether to go where a node says that this phone's mail is served …"""
    move_spread: float = 30.0
    """… after up to so long, chosen by chance, since many are told at once …"""
    move_pause: float = 600.0
    """… and not again for so long where that came to nothing."""
    close_timeout: float = 2.0
    """How long closing may wait to say goodbye."""

    frames_waiting_max: int = 4_096
    """Frames to the node that may wait to be written; the client reads no more until they are gone."""
    read_size: int = 65_536
    agent: str = "waystation-python"

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(Settings):
            value = getattr(self, field.name)
            assert isinstance(value, str | bool) or value > 0, f"{field.name} must be positive"
        assert self.in_flight_recipient_max <= self.in_flight_max <= self.outbox_max
        assert self.in_flight_bytes_max >= BODY_MAX, "one message must fit in flight"
        assert self.outbox_bytes_max >= BODY_MAX, "one message must fit in the outbox"
        assert self.busy_min <= self.busy_max
        assert self.backoff_min <= self.backoff_max
        assert self.frames_waiting_max >= WINDOW_MAX, "a window of acks must fit"
        assert self.lazy_writes_max < self.frames_waiting_max, "waiting writes must not stop the reading"
        assert self.answer_timeout < self.request_timeout
        assert len(self.agent) <= 64
