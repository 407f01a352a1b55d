"""The queue of a link: everything goes out once, in order, in bounded batches; it never holds more than it may."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from replication.zeromq import words
from replication.zeromq.outbox import Outbox
from replication.zeromq.settings import BATCH_BYTES_MAX, BATCH_MESSAGES_MAX

MESSAGES_MAX = 12
BYTES_MAX = 300_000


class Outboxes(RuleBasedStateMachine):
    """Against a list."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(MESSAGES_MAX, BYTES_MAX)
        self.waiting: list[Any] = []
        self.packed: bytes | None = None
        self.number = 0

    @rule(
        size=st.integers(0, 40) | st.sampled_from([1_000, 100_000, 200_000, BATCH_BYTES_MAX, 2 * BYTES_MAX])
    )
    def put(self, size: int) -> None:
        message = [self.number, b"x" * size]
        data = words.encode_message(message)
        if self.outbox.has_room(len(data)):
            self.outbox.put(data)
            self.waiting.append(message)
            self.number += 1
        else:
            assert self.waiting, "an empty outbox takes any message"
            assert len(self.waiting) >= MESSAGES_MAX or self.outbox.bytes + len(data) > BYTES_MAX

    @rule()
    def pack(self) -> None:
        batch = self.outbox.pack()
        assert (batch is None) == (not self.waiting)
        if self.packed is not None:
            assert batch is self.packed, "the same until it is sent"
        if batch is not None:
            _, *said = words.read(batch)
            assert said == self.waiting[: len(said)]
            assert len(said) == 1 or len(batch) <= BATCH_BYTES_MAX
        self.packed = batch

    @precondition(lambda self: self.packed is not None)
    @rule()
    def sent(self) -> None:
        assert self.packed is not None
        count = len(words.read(self.packed)) - 1
        assert self.outbox.sent() == count
        del self.waiting[:count]
        self.packed = None

    @rule()
    def clear(self) -> None:
        assert self.outbox.clear() == len(self.waiting)
        self.waiting.clear()
        self.packed = None

    @invariant()
    def counts_are_true(self) -> None:
        self.outbox.check()
        assert self.outbox.messages == len(self.waiting)


TestOutboxes = Outboxes.TestCase
TestOutboxes.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def test_a_batch_has_a_limit_in_messages() -> None:
    outbox = Outbox(10_000, 10_000_000)
    for number in range(BATCH_MESSAGES_MAX + 5):
        outbox.put(words.encode_message([number]))
    counts = []
    while (batch := outbox.pack()) is not None:
        counts.append(len(words.read(batch)) - 1)
        outbox.sent()
    assert counts == [BATCH_MESSAGES_MAX, 5]


def test_what_is_large_is_not_copied() -> None:
    outbox = Outbox(100, 10_000_000)
    large = words.encode_message([1, bytes(BATCH_BYTES_MAX)])
    for message in (words.encode_message([0]), large, words.encode_message([2])):
        outbox.put(message)
    packed = []
    while (batch := outbox.pack()) is not None:
        packed.append(batch)
        outbox.sent()
    assert packed[1] is large


def test_sent_without_a_batch_is_a_defect() -> None:
    with pytest.raises(AssertionError):
        Outbox(1, 1).sent()
