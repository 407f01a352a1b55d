"""After others' records were merged into a partition's pairs: what these pairs say is told to their senders once
more.

A receipt's row is the last writer's. Where two nodes were primary at once, one of them told its senders of acks that
the other never heard of, and its rows may have lost. So `reconcile` notes each pair that changed by a merge, and the
primary owes its sender all that the pair says: told twice is told. A note goes in the commit that writes pair and
receipts; a crash before that begins again.
"""

from collections.abc import Collection, Sequence
from functools import partial

from node.mail import effects, loading, receipts, telling, writebehind
from node.mail.intervals import Intervals
from node.mail.pair import Pair, PairKey
from node.mail.state import Healing, MailState
from node.wire.verbs import KIND_DELIVERED, KIND_EXPIRED, KIND_READ

UNTOLD_PAIRS = 32
"""Pairs told again in one step."""


def begin(state: MailState, partition: int) -> None:
    """This node serves the partition from now on."""
    state.healing[partition] = Healing()
    state.out.append((effects.SCAN_UNTOLD, partition, None, UNTOLD_PAIRS))


def found(
    state: MailState,
    partition: int,
    keys: Sequence[PairKey],
    after: PairKey | None,
    marked: Collection[PairKey] = (),
) -> None:
    """The answer to SCAN_UNTOLD: keys of pairs, where to go on (None: that was all), and which of them have a mark in
    `telling`."""
    running = state.healing[partition]
    running.scanning = False
    running.after = after
    for key in keys:
        running.left[key] = None
    for key in keys:
        loading.with_pair(
            state,
            key,
            partial(tell, state, marked=key in marked),
            partial(_over, state, partition, running, key),  # it can't be read: told when it is served next
            always=True,
        )
    _advance(state, partition, running)


def not_found(state: MailState, partition: int) -> None:
    """SCAN_UNTOLD was of no use: the rest is told when the partition is served next."""
    del state.healing[partition]


def again(state: MailState, keys: Sequence[PairKey]) -> None:
    """What these pairs say was written, and their receipts perhaps not: all of it is told again."""
    for key in keys:
        loading.with_pair(state, key, partial(tell, state, marked=False), always=True)


def tell(state: MailState, pair: Pair, marked: bool) -> None:
    """Owe the pair's sender all that it says, and write both. marked: it has a mark in `telling`."""
    if marked:
        telling.of(state, pair).marked = True
    for first, last in pair.gone.ranges():
        receipts.owe(state, pair, KIND_DELIVERED, first, last)
    ended = Intervals(pair.expired.spans)
    for known in (pair.gone, pair.given_up):
        for first, last in known.ranges() if known is not None else ():
            ended.remove_range(first, last)
    for first, last in ended.ranges():
        receipts.owe(state, pair, KIND_EXPIRED, first, last)
    if pair.read:
        receipts.owe(state, pair, KIND_READ, 1, pair.read)
    state.counts.retold += 1
    pair.untold = True
    writebehind.mark(state, pair)
    writebehind.hasten(state, pair)


def written(state: MailState, pair: Pair) -> None:
    """A pair was written, and its note is gone."""
    partition = pair.box.partition
    running = state.healing.get(partition)
    if running is not None:
        _over(state, partition, running, pair.key)


def _over(state: MailState, partition: int, running: Healing, key: PairKey) -> None:
    if running.left.pop(key, True) is None:
        _advance(state, partition, running)


def _advance(state: MailState, partition: int, running: Healing) -> None:
    if running.left or running.scanning or state.healing.get(partition) is not running:
        return
    if running.after is None:
        del state.healing[partition]
    else:
        running.scanning = True
        state.out.append((effects.SCAN_UNTOLD, partition, running.after, UNTOLD_PAIRS))
