"""The account record: what the store keeps of a number, and how two copies of it become one.

A record is two parts that change for different reasons, and so merge apart: the device, where the higher
generation wins, and the operator's block, where the later change wins. Both are the greater of two totally
ordered values, which makes merging commutative, associative and idempotent; a newer device key is never
undone, and a block outlives a new device.

This module must never know where records are kept.
"""

from typing import Any, Final

import attrs

from node.wire.limits import KEY_SIZE, STREAM_SIZE

FORMAT: Final = 1
"""First member of each stored value; another one was written by a newer program."""

WIPES_MAX: Final = 64
"""Older devices whose mail isn't expired yet. With a few registrations a day, mail has failed for days."""

WIPE_RETRY_MS: Final = 500
"""What a device is told that comes before the wipe is done; it takes milliseconds unless a mailbox is
huge."""


@attrs.frozen
class Account:
    """One number's registered device.

    key: Ed25519 public key, 32 bytes. stream: the device's, 8 bytes. generation: 1 for the first device.
    since: when the device registered, Unix time in ms, for people.
    wiping: streams of older devices whose waiting mail isn't expired yet, oldest first; nearly always empty.
    block_changes: how often the operator has blocked or unblocked; odd is blocked.
    """

    key: bytes
    stream: bytes
    generation: int
    since: int
    wiping: tuple[bytes, ...] = ()
    block_changes: int = 0

    def __attrs_post_init__(self) -> None:
        assert len(self.key) == KEY_SIZE
        assert len(self.stream) == STREAM_SIZE
        assert self.generation >= 1
        assert self.block_changes >= 0
        assert len(self.wiping) <= WIPES_MAX
        assert self.generation > 1 or not self.wiping, "the first device replaces nobody"

    @property
    def blocked(self) -> bool:
        return self.block_changes % 2 == 1

    def with_block(self, blocked: bool) -> "Account":
        """This account, blocked or not; itself if it is so already."""
        if blocked == self.blocked:
            return self
        return attrs.evolve(self, block_changes=self.block_changes + 1)

    def to_value(self) -> list[Any]:
        """What the store keeps: CBOR-able, and short because there is one for every user."""
        return [
            FORMAT,
            self.generation,
            self.since,
            self.key,
            self.stream,
            list(self.wiping),
            self.block_changes,
        ]


def from_value(value: Any) -> Account:
    """The account of a stored value."""
    assert value[0] == FORMAT, (
        f"account record of format {value[0]}: run the program that wrote it, or a newer"
    )
    _, generation, since, key, stream, wiping, block_changes = value
    return Account(key, stream, generation, since, tuple(wiping), block_changes)


def merge(one: list[Any] | None, other: list[Any]) -> list[Any]:
    """The one record that two copies agree on. The store calls it with stored values, or None and the new
    one."""
    if one is None:
        return other
    a, b = from_value(one), from_value(other)
    device = max(a, b, key=_device_order)
    return attrs.evolve(device, block_changes=max(a.block_changes, b.block_changes)).to_value()


def _device_order(account: Account) -> tuple[Any, ...]:
    """Generation first. After a split two devices can share one: the later wins, then an arbitrary but
    total order.

    For the same device, fewer wipes left is further on: a finished wipe must not come back, for it would
    expire the new device's mail.
    """
    return (
        account.generation,
        account.since,
        account.key,
        account.stream,
        -len(account.wiping),
        account.wiping,
    )
