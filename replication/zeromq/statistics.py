"""What links tell of themselves: values, made when asked for."""

from __future__ import annotations

import attrs

from replication.zeromq.link import Group, Heard, Link


@attrs.frozen
class LinkStatistics:
    """One link, both halves. Counts since it was opened; `queue_*` and `up` are now.

    dropped: sends that were answered False. lost: messages that were queued when a connection ended.
    heard_s_ago: since anything came from the peer on this link, either half; None: never.
    """

    peer: bytes
    group: Group
    up: bool
    connections: int
    attempts: int
    ended: str
    sent_messages: int
    sent_batches: int
    sent_bytes: int
    queue_messages: int
    queue_bytes: int
    dropped: int
    lost: int
    received_messages: int
    received_batches: int
    received_bytes: int
    malformed: int
    ungreeted: int
    heard_s_ago: float | None
    round_trip_ms: float

    @property
    def reconnects(self) -> int:
        return max(0, self.connections - 1)


@attrs.frozen
class LinksStatistics:
    """All links of a node. admitted, refused: keys that proved themselves. failed_handshakes: peers that did not.
    strangers: messages of keys that were taken out meanwhile."""

    links: tuple[LinkStatistics, ...]
    groups: int
    admitted: int
    refused: int
    failed_handshakes: int
    strangers: int


def link_statistics(link: Link, heard: Heard | None, now: float) -> LinkStatistics:
    heard = heard or Heard()
    times = [at for at in (heard.at, link.heard_at if link.ups else None) if at is not None]
    return LinkStatistics(
        peer=link.peer.node,
        group=link.group,
        up=link.up,
        connections=link.ups,
        attempts=link.attempts,
        ended=link.ended,
        sent_messages=link.sent_messages,
        sent_batches=link.sent_batches,
        sent_bytes=link.sent_bytes,
        queue_messages=link.outbox.messages,
        queue_bytes=link.outbox.bytes,
        dropped=link.dropped,
        lost=link.lost,
        received_messages=heard.messages,
        received_batches=heard.batches,
        received_bytes=heard.bytes,
        malformed=heard.malformed,
        ungreeted=heard.ungreeted,
        heard_s_ago=max(0.0, now - max(times)) if times else None,
        round_trip_ms=link.round_trip_ms,
    )
