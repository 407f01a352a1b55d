"""The named limits of links, and where a node listens. Every queue, retry and wait is bounded by one of these."""

from __future__ import annotations

from typing import Final

import attrs

from replication.zeromq.address import SUFFIX_CHARACTERS, Address
from store.limits import VALUE_BYTES_MAX

NODE_BYTES: Final = 8
"""Length of a node's id."""

GROUPS_MAX: Final = 512
"""Groups that one node announces; more in an announcement are a fault of the peer."""

GROUP_NAME_BYTES_MAX: Final = 256

BATCH_BYTES_MAX: Final = 262_144
"""Messages that wait are sent together up to so many bytes; a larger message goes alone."""

BATCH_MESSAGES_MAX: Final = 1_024
"""Also of what is read: handing over a batch isn't interrupted."""

GREETING_BYTES_MAX: Final = 1_024
"""What is read of a peer that hasn't greeted."""

OVERHEAD_BYTES: Final = 1_024
"""What the head of a batch and CURVE add to a message, at most."""

DEPTH_MAX: Final = 16
"""Nesting of what is read, the batch around a message included."""

FLUSH_BATCHES: Final = 16
"""Batches given to one socket before other tasks have their turn."""

DRAIN_MESSAGES: Final = 256
"""Batches taken from one socket before other tasks have their turn: 2.4 times the throughput of one at a time."""

DRAIN_BYTES: Final = 4_194_304
"""The same in bytes."""

REPLIES_MAX: Final = 64
"""Short answers (welcome, pong) that wait for one peer; what is beyond is dropped, and the peer asks again."""

TURN_MS_MAX: Final = 5
"""What one entrance has is handed over for so long, then other tasks have their turn; a batch is handed over whole."""

SOCKETS_MAX: Final = 32_768
"""ZeroMQ sockets of one node: three to a link."""


@attrs.frozen
class LinkSettings:
    """[links]: times in the unit the name ends in.

    Raises ValueError, naming option and remedy.
    """

    listen: Address | None = None  # None: this node's own address in the list of members
    group_ports: tuple[int, int] | None = None  # first and last; None: the kernel chooses

    message_bytes_max: int = 67_108_864  # the same on all nodes: a peer that allows less is refused
    queue_messages_max: int = 65_536  # waiting for one link; a link has 3 or 4 batches more in ZeroMQ's hands
    queue_bytes_max: int = 67_108_864
    batches_max: int = 4  # in ZeroMQ's hands, for each link and direction

    connect_ms_max: int = 3_000
    handshake_ms_max: int = 5_000  # from the connection to the end of the CURVE handshake, strangers' too
    greeting_ms_max: int = 10_000  # from the start of an attempt to the peer's welcome
    heartbeat_ms: int = 2_000
    silence_ms_max: int = 10_000  # without an answer to a heartbeat: the link is made anew
    retry_ms_min: int = 50  # between attempts; doubled each time, and drawn from the upper half
    retry_ms_max: int = 2_000
    keepalive_idle_s: int = 15  # TCP's own, for what a peer that vanished left open here
    keepalive_interval_s: int = 5
    keepalive_probes: int = 3
    backlog: int = 128

    def __attrs_post_init__(self) -> None:
        for name, low, high in (
            ("message_bytes_max", 2 * BATCH_BYTES_MAX, 1 << 30),
            ("queue_messages_max", 1, 10_000_000),
            ("queue_bytes_max", 1, 1 << 36),
            ("batches_max", 1, 1_000),
            ("connect_ms_max", 10, 60_000),
            ("handshake_ms_max", 10, 60_000),
            ("greeting_ms_max", 10, 120_000),
            ("heartbeat_ms", 10, 60_000),
            ("silence_ms_max", 20, 600_000),
            ("retry_ms_min", 1, 60_000),
            ("retry_ms_max", 1, 600_000),
            ("keepalive_idle_s", 1, 7_200),
            ("keepalive_interval_s", 1, 600),
            ("keepalive_probes", 1, 20),
            ("backlog", 1, 65_535),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"links.{name} is {value}: choose a value from {low} to {high}")
        if self.silence_ms_max < 2 * self.heartbeat_ms:
            raise ValueError(
                f"links.silence_ms_max is {self.silence_ms_max}: choose at least twice heartbeat_ms, so that one"
                " lost beat ends no link"
            )
        if self.retry_ms_max < self.retry_ms_min:
            raise ValueError("links: retry_ms_min <= retry_ms_max must hold: set both")
        if self.group_ports is not None:
            first, last = self.group_ports
            if not 0 < first <= last <= 65_535:
                raise ValueError(f"links.group_ports is {first} to {last}: choose ports from 1 to 65535")


assert LinkSettings().message_bytes_max > VALUE_BYTES_MAX + OVERHEAD_BYTES, (
    "one record must fit into a message"
)
assert GROUPS_MAX * (GROUP_NAME_BYTES_MAX + SUFFIX_CHARACTERS + 16) <= BATCH_BYTES_MAX, (
    "an announcement is a small message"
)
assert BATCH_MESSAGES_MAX < 65_536, "the head of a batch counts with two bytes"
assert GREETING_BYTES_MAX > GROUP_NAME_BYTES_MAX + 4 * NODE_BYTES
