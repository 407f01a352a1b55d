"""The mail core in its small world, by seeds: no promise is broken whatever comes, and planted bugs are found.

Longer runs: `python -m tests.sim.mail --seeds 0:10000`; a single one again: `--seed 42`.
"""

from collections.abc import Callable
from typing import Any

import pytest

from node.mail import acking, delivery, effects, numbering, receipts, writebehind
from node.mail.pair import Pair
from node.mail.state import MailState
from node.wire.verbs import KIND_DELIVERED, KIND_EXPIRED, ONE_COPY
from tests.node.mail.world import run

SEEDS = 480
CHUNK = 60
BITE_WITHIN = 150
"""Seeds within which each planted bug must be found."""


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_seed_breaks_a_promise(first: int) -> None:
    for seed in range(first, first + CHUNK):
        run(seed)


def _accept(state: MailState, pair: Pair, n: int, how: int = ONE_COPY) -> None:
    state.out.append((effects.ACCEPTED, pair.sender, pair.recipient, pair.stream, n, n, how))


def known_is_at_or_below_high(patch: pytest.MonkeyPatch) -> None:
    place = numbering.place

    def bad(state: MailState, pair: Pair, n: int, base: int, body: bytes | None) -> None:
        if n <= pair.high and n not in pair.pending and not pair.settled(n):
            _accept(state, pair, n)
        else:
            place(state, pair, n, base, body)

    patch.setattr(numbering, "place", bad)


def a_duplicate_is_answered_before_the_original_settles(patch: pytest.MonkeyPatch) -> None:
    place = numbering.place

    def bad(state: MailState, pair: Pair, n: int, base: int, body: bytes | None) -> None:
        if n in pair.pending:
            _accept(state, pair, n)
        else:
            place(state, pair, n, base, body)

    patch.setattr(numbering, "place", bad)


def accepted_comes_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    offer = delivery.offer

    def bad(state: MailState, pair: Pair, message: Any) -> None:
        _accept(state, pair, message.n)
        offer(state, pair, message)

    patch.setattr(delivery, "offer", bad)


def handing_over_removes(patch: pytest.MonkeyPatch) -> None:
    hand = delivery._hand

    def bad(state: MailState, box: Any, pair: Pair, n: int, arrived: int, body: bytes) -> None:
        hand(state, box, pair, n, arrived, body)
        acking._ack(state, pair, n, n)

    patch.setattr(delivery, "_hand", bad)


def what_is_gone_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The union of a retry with a pair that doesn't know what was acknowledged."""
    patch.setattr(Pair, "row", lambda pair: [pair.high, [], list(pair.expired.spans), pair.read, pair.day])
    patch.setattr(Pair, "restore", lambda pair, row: None)


def a_failed_commit_counts_as_done(patch: pytest.MonkeyPatch) -> None:
    from node.mail import driver

    module = driver.settling if hasattr(driver, "settling") else driver.writebehind
    committed = module.committed
    patch.setattr(module, "committed", lambda state, batch, *, failed: committed(state, batch, failed=False))


def what_is_earlier_is_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    offer = delivery.offer

    def bad(state: MailState, pair: Pair, message: Any) -> None:
        if pair.box.session is not None and pair.seen is pair.box.session and not pair.fetching:
            pair.cursor = 0
        offer(state, pair, message)

    patch.setattr(delivery, "offer", bad)


def later_ones_are_written_first(patch: pytest.MonkeyPatch) -> None:
    collect = writebehind.collect

    def bad(state: MailState) -> None:
        if state.committing is None:
            state.urgent.reverse()
        collect(state)

    patch.setattr(writebehind, "collect", bad)


def delivered_is_not_told(patch: pytest.MonkeyPatch) -> None:
    owe = receipts.owe

    def bad(state: MailState, pair: Pair, kind: int, first: int, last: int) -> None:
        if kind != KIND_DELIVERED or first % 3:
            owe(state, pair, kind, first, last)

    patch.setattr(receipts, "owe", bad)


def expired_is_not_told(patch: pytest.MonkeyPatch) -> None:
    owe = receipts.owe

    def bad(state: MailState, pair: Pair, kind: int, first: int, last: int) -> None:
        if kind != KIND_EXPIRED:
            owe(state, pair, kind, first, last)

    patch.setattr(receipts, "owe", bad)


def a_stored_pair_says_more_than_is_durable(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        Pair,
        "row",
        lambda pair: [pair.high, [1, pair.high] if pair.high else [], [], pair.read, pair.day],
    )


BUGS: list[Callable[[pytest.MonkeyPatch], None]] = [
    known_is_at_or_below_high,
    a_duplicate_is_answered_before_the_original_settles,
    accepted_comes_before_the_commit,
    handing_over_removes,
    what_is_gone_is_forgotten,
    a_failed_commit_counts_as_done,
    what_is_earlier_is_not_waited_for,
    later_ones_are_written_first,
    delivered_is_not_told,
    expired_is_not_told,
    a_stored_pair_says_more_than_is_durable,
]


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    for seed in range(BITE_WITHIN):
        try:
            run(seed)
        except AssertionError:
            return
    pytest.fail(f"not found within {BITE_WITHIN} seeds")
