"""The tables of mail: in one group, since a message, its pair and its receipts must change together. A node has them
in its group `users` (node/tables.py); the group `mail` is of them alone: simulations, tests, and directories of
before.

The first element of every key is the partition: the recipient's, but for `receipt` the sender's.
"""

from collections.abc import Sequence
from typing import Any

from node.mail.pair import merge_rows
from node.mail.reconcile import Reconcile
from store.schema import Group, Table


def merge_pairs(ours: Sequence[Any] | None, theirs: Sequence[Any]) -> list[Any]:
    """The merge of `pair`."""
    return list(theirs) if ours is None else merge_rows(ours, theirs)


MESSAGE = Table("message", insert_only=True)
"""(p, recipient, sender, stream, n) → [arrived in ms, body]. Immutable. Deleted without a tombstone: its pair's
sets say that it is over."""

PAIR = Table("pair", merge=merge_pairs, tombstones=True)
"""(p, recipient, sender, stream) → [high, gone, expired, read, day], or [high, gone, expired, read, day, given up]. A
tombstone only after a purge: without one, a copy that was away would keep the row for ever."""

RECEIPT = Table("receipt", tombstones=True)
"""(p, sender, recipient, stream) → [delivered, expired, read]: not confirmed by the sender's client yet. It shrinks,
so it is the last writer's, and what a merge loses is made anew from the pair: see `healing`."""

MAILBOX = Table("mailbox", local_content=True)
"""(p, recipient) → [messages, bytes of bodies] on this node's disk; derived, for the limits"""

UNTOLD = Table("untold", local_content=True)
"""(p, recipient, sender, stream) → []: a pair into which another node's record was merged while this node was its
primary, or might be next; its sender is to be told again all that it says"""

TELLING = Table("telling", tombstones=True)
"""(p, recipient, sender, stream) → []: the pair was written while something that it says wasn't told to its sender's
primary, which is another node; whoever serves the partition tells all that the pair says. The last writer's."""

RETELL = Table("retell", local_content=True)
"""(p, recipient, sender, stream) → []: in p two records of a receipt met here, of which one went; the primary of the
pair is to be asked to tell again all that it says, see `retelling`"""

MAIL = Group("mail", (MESSAGE, PAIR, RECEIPT, MAILBOX, UNTOLD, TELLING, RETELL), reconcile=Reconcile())
