"""After records of another node came in: messages that are over are deleted, whichever came last, they or their pair.

It runs on the committer's thread, in the transaction of what came in, and writes nothing that other nodes would have to
learn of: a deletion that every copy makes for itself, and notes that are this node's own. So copies come to the same in
whatever order records reach them.
"""

from collections.abc import Callable
from typing import Any

from node.mail.intervals import Intervals
from store.schema import Touched
from store.transaction import Transaction

CHUNK_ROWS = 256
"""Keys of messages looked at in one step."""

Mine = Callable[[int], bool]


def everywhere(partition: int) -> bool:
    """For groups whose primary isn't known: what is told twice is told."""
    return True


def nowhere(partition: int) -> bool:
    """For groups of which there is one copy."""
    return False


class Reconcile:
    """A group's `reconcile`.

    Args:
        mine: whether this node is a partition's primary, as it claims itself, from before it takes in what others have.
            Called on the committer's thread, as the next one. Pairs that others' records change there are noted in
            `untold`.
        has_news: whether there is something here that the partition's primary hasn't asked for. Then what goes here
            when two records meet may go unseen by anybody else, and is noted as well: see `retelling`.
    """

    __slots__ = ("has_news", "mine", "noted")

    def __init__(self, mine: Mine = everywhere, has_news: Mine = nowhere) -> None:
        self.mine = mine
        self.has_news = has_news
        self.noted = 0
        """Notes in `retell` since the start, those of transactions that failed included. Read on any thread."""

    def __call__(self, transaction: Transaction, touched: Touched, met: Touched) -> None:
        self._of_pairs(transaction, touched)
        for table, key in met:
            if table == "receipt":
                if self.mine(key[0]) or self.has_news(key[0]):
                    p, sender, recipient, stream = key
                    transaction.put("retell", (p, recipient, sender, stream), [])
                    self.noted += 1
            elif table == "telling" and self.mine(key[0]):
                self._note(transaction, key)
            elif table in ("pair", "telling") and self.has_news(key[0]):
                self._note(transaction, key)  # for this node, should it be the primary next

    def _note(self, transaction: Transaction, key: tuple[Any, ...]) -> None:
        if transaction.get("pair", key) is not None:  # otherwise it was purged
            transaction.put("untold", key, [])

    def _of_pairs(self, transaction: Transaction, touched: Touched) -> None:
        pairs: dict[tuple[Any, ...], Intervals | None] = {}
        for key in {key: None for table, key in touched if table == "pair"}:
            over = _over(transaction, key)
            if over is None:  # it was purged
                transaction.delete("untold", key)
            else:
                _sweep(transaction, key, over)
                if self.mine(key[0]):
                    transaction.put("untold", key, [])
            pairs[key] = None  # its messages were looked at
        for table, key in touched:
            if table == "message":
                of = key[:4]
                if of not in pairs:
                    pairs[of] = _over(transaction, of)
                over = pairs[of]
                if over is not None and key[4] in over:
                    transaction.delete("message", key)
                    if self.mine(key[0]):  # its sender may have heard of it from the other node only
                        transaction.put("untold", of, [])


def _over(transaction: Transaction, key: tuple[Any, ...]) -> Intervals | None:
    """The numbers of a pair that are over."""
    row = transaction.get("pair", key)
    if row is None:
        return None
    over = Intervals(row[1])
    over.update(Intervals(row[2]))
    return over


def _sweep(transaction: Transaction, key: tuple[Any, ...], over: Intervals) -> None:
    """Delete the pair's messages that are over."""
    low, high = next(over.ranges(), (1, 0))[0], over.highest() + 1
    while low < high:
        found = transaction.keys("message", (*key, low), (*key, high), CHUNK_ROWS)
        for message in found:
            if message[4] in over:
                transaction.delete("message", message)
        if len(found) < CHUNK_ROWS:
            return
        low = found[-1][4] + 1
