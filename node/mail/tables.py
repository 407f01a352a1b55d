"""The group `mail`: one environment, since a message, its pair and its receipts must change together.

The first element of every key is the partition: the recipient's, but for `receipt` the sender's.
"""

from collections.abc import Sequence
from typing import Any

from node.mail.intervals import Intervals
from node.mail.pair import merge_rows
from store.schema import Group, Table


def merge_pairs(ours: Sequence[Any] | None, theirs: Sequence[Any]) -> list[Any]:
    """The merge of `pair`."""
    return list(theirs) if ours is None else merge_rows(ours, theirs)


def merge_owed(ours: Sequence[Any] | None, theirs: Sequence[Any]) -> list[Any]:
    """The merge of `receipt`: what either side owes is owed; one told twice is confirmed twice."""
    if ours is None:
        return list(theirs)
    delivered, expired = Intervals(ours[0]), Intervals(ours[1])
    delivered.update(Intervals(theirs[0]))
    expired.update(Intervals(theirs[1]))
    return [delivered.spans, expired.spans, max(ours[2], theirs[2])]


MESSAGE = Table("message", insert_only=True)
"""(p, recipient, sender, stream, n) → [arrived in ms, body]. Immutable. Deleted without a tombstone: its pair's
sets say that it is over."""

PAIR = Table("pair", merge=merge_pairs)
"""(p, recipient, sender, stream) → [high, gone, expired, read, day]"""

RECEIPT = Table("receipt", merge=merge_owed)
"""(p, sender, recipient, stream) → [delivered, expired, read]: not confirmed by the sender's client yet"""

MAILBOX = Table("mailbox", local_content=True)
"""(p, recipient) → [messages, bytes of bodies] on this node's disk; derived, for the limits"""

MAIL = Group("mail", (MESSAGE, PAIR, RECEIPT, MAILBOX))
