"""Receipts for senders whose primary is another node: a pair's primary tells that node what the pair says until it
hears that this is durable there, in the sender's own receipt, or that the sender's client has confirmed it.

What is untold is in memory, beside the pair. When the pair is written before all of it is told, a mark goes in the
same commit, and is deleted when it is; so whoever serves the partition next tells again all that the pair says, as
after a merge (`healing`). Told twice is told. Nothing here knows where a node is, or how it is reached.
"""

from collections.abc import Sequence
from functools import partial

from node.mail import effects, healing, receipts
from node.mail.intervals import Intervals
from node.mail.pair import Pair
from node.mail.state import MailState, Owed, Teller, Telling
from node.wire.verbs import KIND_DELIVERED, KIND_EXPIRED, KIND_READ

AGAIN_MAX = 1_000
"""Told again in one `AGAIN_EVERY_MS`. Many partitions begin to be served at once after a failover: all that is owed to
them is due then, and what else goes on shall not wait for it."""
AGAIN_EVERY_MS = 100
TELLINGS_MAX = 100_000
"""In memory. Of more, those that have a mark are forgotten, and their partitions are gone through again later."""

Spans = Sequence[int]


def lives_elsewhere(state: MailState, pair: Pair) -> bool:
    """Whether the pair's sender has another primary."""
    if state.served is None:
        return False
    if pair.home < 0:
        assert state.partition_of is not None
        pair.home = state.partition_of(pair.sender)
    return pair.home not in state.served


# ---- at the pair's primary -------------------------------------------------------------------------------


def owe(state: MailState, pair: Pair, kind: int, first: int, last: int) -> None:
    """The primary of the pair's sender is to be told of first..last. The pair is to be written before long."""
    telling = of(state, pair)
    _add(telling, kind, first, last)
    state.to_tell[pair.key] = telling


def of(state: MailState, pair: Pair) -> Telling:
    """What is untold of the pair."""
    key = pair.key
    telling = state.telling.get(key)
    if telling is None:
        assert state.partition_of is not None
        if pair.home < 0:
            pair.home = state.partition_of(pair.sender)
        telling = state.telling[key] = Telling(*key, pair.box.partition, pair.home)
        if len(state.telling) > TELLINGS_MAX:
            _make_room(state)
    return telling


def _add(telling: Telling, kind: int, first: int, last: int) -> None:
    if kind == KIND_READ:
        telling.read = max(telling.read, last)
        return
    numbers = telling.delivered if kind == KIND_DELIVERED else telling.expired
    numbers.add_range(first, last)
    numbers.trim(receipts.INTERVALS_MAX)


def _make_room(state: MailState) -> None:
    """The mark of the one that is owed for the longest remains alone."""
    for telling in state.telling.values():
        if telling.marked and not telling.dirty and telling.key not in state.to_tell:
            if state.committing is None or all(one is not telling for one, _ in state.committing.marks):
                forget(state, telling)
                state.tell_later.add(telling.part)
            return


def ask(state: MailState) -> None:
    """Tell what was added, and again what nobody has answered."""
    rounds, now = state.tell_rounds, state.now
    fresh, state.to_tell = state.to_tell, {}
    for telling in fresh.values():
        rounds.begin(telling, now)
        _tell(state, telling)
    if not 0 <= now - state.told_since < AGAIN_EVERY_MS:
        state.told_since, state.told_again = now, 0
    for telling in rounds.due(now, AGAIN_MAX - state.told_again):
        state.told_again += 1
        state.counts.tells_again += 1
        rounds.go_on(telling, now)
        _tell(state, telling)
    if state.tell_later and len(state.telling) < TELLINGS_MAX // 2:
        part = state.tell_later.pop()
        if part not in state.healing:
            healing.begin(state, part)


def hurry(state: MailState, home: int) -> None:
    """Senders of this partition, who couldn't be told before, may be now: all that is untold to them is due."""
    state.tell_rounds.hurry(home, state.now)


def put_off(state: MailState, sender: int, recipient: int, stream: bytes) -> None:
    """There was no room to say it, or to take it in: it is told again before long, whatever the wait for answers."""
    telling = state.telling.get((recipient, sender, stream))
    if telling is not None:
        state.tell_rounds.put_off(telling, state.now)


def _tell(state: MailState, telling: Telling) -> None:
    if not telling.empty():
        state.counts.tells += 1
        spans = (tuple(telling.delivered.spans), tuple(telling.expired.spans), telling.read)
        state.out.append((effects.TELL, telling.sender, telling.recipient, telling.stream, *spans))


def told(
    state: MailState, sender: int, recipient: int, stream: bytes, delivered: Spans, expired: Spans, read: int
) -> None:
    """The sender's primary has this for good."""
    telling = state.telling.get((recipient, sender, stream))
    if telling is None:
        return
    for numbers, spans in ((telling.delivered, delivered), (telling.expired, expired)):
        for first, last in Intervals(spans).ranges():
            numbers.remove_range(first, last)
        numbers.trim(receipts.INTERVALS_MAX)
    if read >= telling.read:
        telling.read = 0
    if telling.empty():
        state.counts.told += 1
        over(state, telling)
    else:
        state.tell_rounds.answered(telling, state.now)


def over(state: MailState, telling: Telling) -> None:
    """All is told: forget it, and its mark."""
    if not telling.marked:
        forget(state, telling)
    elif not telling.dirty:
        telling.dirty = True
        state.dirty_tellings.append((state.now + state.settings.flush_delay_ms, telling))


def forget(state: MailState, telling: Telling) -> None:
    """Nobody is told of it from here any more. Its mark, if it has one, stays."""
    telling.dirty = False
    del state.telling[telling.key]
    state.to_tell.pop(telling.key, None)
    state.tell_rounds.drop(telling)


# ---- at the sender's primary -----------------------------------------------------------------------------


def heard(
    state: MailState,
    teller: Teller,
    sender: int,
    recipient: int,
    stream: bytes,
    delivered: Spans,
    expired: Spans,
    read: int,
) -> bool:
    """A pair's primary tells what the pair says. TOLD follows when that is durable here; or not, and it tells again.
    False: there is no room for it, see `has_room`."""
    news = Telling(recipient, sender, stream, -1, -1)
    news.delivered, news.expired, news.read = Intervals(delivered), Intervals(expired), read
    key = (sender, recipient, stream)
    owed = receipts.find(state, *key)
    if owed is not None:
        _take(state, owed, teller, news)
        receipts.let_go(state, owed)
    elif len(state.owed_loading) < state.settings.loads_waiting_max:
        receipts.with_owed(state, key, partial(_take, state, teller=teller, news=news))
    else:
        state.counts.tells_put_off += 1
        return False
    return True


def has_room(state: MailState) -> bool:
    """Whether whoever was put off should tell again: there is room for many."""
    return len(state.owed_loading) <= state.settings.loads_waiting_max // 2


def _take(state: MailState, owed: Owed, teller: Teller, news: Telling) -> None:
    for first, last in news.delivered.ranges():
        if not owed.delivered.covers(first, last):
            receipts.add(state, owed, KIND_DELIVERED, first, last)
    for first, last in news.expired.ranges():
        if not owed.expired.covers(first, last):
            receipts.add(state, owed, KIND_EXPIRED, first, last)
    if news.read > owed.read:
        receipts.add(state, owed, KIND_READ, 1, news.read)
    if owed.dirty or owed.writing:
        wait(owed, teller, news)
        if owed.empty():
            answer(state, owed)
    else:
        _answer(state, owed, teller, news)


def wait(owed: Owed, teller: Teller, news: Telling) -> None:
    """Whoever told is answered when the receipt is written."""
    if owed.tellers is None:
        owed.tellers = {}
    before = owed.tellers.get(teller)
    if before is None:
        owed.tellers[teller] = news
    else:
        before.delivered.update(news.delivered)
        before.expired.update(news.expired)
        before.read = max(before.read, news.read)


def answer(state: MailState, owed: Owed) -> None:
    """The sender's client has confirmed all, or its device is no more: there is nothing to be written for it."""
    tellers, owed.tellers = owed.tellers, None
    if tellers is not None:
        answer_all(state, owed, tellers)


def answer_all(state: MailState, owed: Owed, tellers: dict[Teller, Telling]) -> None:
    """What these told is durable."""
    for teller, news in tellers.items():
        _answer(state, owed, teller, news)


def _answer(state: MailState, owed: Owed, teller: Teller, news: Telling) -> None:
    spans = (tuple(news.delivered.spans), tuple(news.expired.spans), news.read)
    state.out.append((effects.TOLD, teller, owed.sender, owed.recipient, owed.stream, *spans))
