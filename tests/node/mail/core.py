"""The mail core in a test's hand: what it asks for is kept, and answered as the test says."""

from typing import Any

from node.mail import effects, loading, presence, settling, writebehind
from node.mail.pair import Pair
from node.mail.settings import DAY_MS, MailSettings
from node.mail.state import Batch, MailState

ALICE, BOB, CAROL = 1, 2, 3
STREAM = b"a" * 8
NOW = 20_000 * DAY_MS
PARTITIONS = 2


def partition_of(user: int) -> int:
    return user % PARTITIONS


class Handle:
    """A session."""

    def __init__(self, stream: bytes = STREAM) -> None:
        self.stream = stream


class Core:
    """`asked` gives and forgets what the core asked for."""

    def __init__(self, **settings: Any) -> None:
        self.state = MailState(MailSettings(**settings), NOW)

    def asked(self, *codes: int) -> list[tuple[Any, ...]]:
        """Effects of these codes, in order; all others stay. Of none: everything."""
        out = self.state.out
        found = [effect for effect in out if effect[0] in codes or not codes]
        self.state.out = [effect for effect in out if effect not in found]
        self.state.check()
        return found

    def pair(
        self, sender: int = ALICE, recipient: int = BOB, *, row: Any = None, high: int = 0, box: Any = None
    ) -> Pair:
        """A pair, loaded."""
        key = (recipient, sender, STREAM)
        if key not in self.state.pairs:
            loading.with_pair(self.state, key, lambda pair: None)
            self.loaded(key, row=row, high=high, box=box)
        return self.state.pairs[key]

    def loaded(self, key: Any, *, row: Any = None, high: int = 0, box: Any = None) -> None:
        """Answer a LOAD."""
        assert (effects.LOAD, *key) in self.asked(effects.LOAD)
        loading.loaded(self.state, key, row, high, box, partition_of(key[0]), known=True)

    def online(self, user: int, stream: bytes = STREAM, box: Any = None) -> Handle:
        """A session of a user, with nothing of his on disk but what the box says."""
        handle = Handle(stream)
        presence.online(self.state, user, handle)
        if user in self.state.box_loading:
            self.asked(effects.LOAD_BOX)
            loading.box_loaded(self.state, user, box, partition_of(user), known=True)
        return handle

    def wait(self, ms: int) -> None:
        """Time passes."""
        self.state.now += ms

    def batch(self) -> Batch | None:
        """What is due is collected, and made rows of."""
        writebehind.collect(self.state)
        found = self.asked(effects.COMMIT)
        if not found:
            return None
        batch: Batch = found[0][1]
        for pair in batch.pairs:
            pair.row()
        return batch

    def commit(self, *, failed: bool = False, copies: int = 1) -> Batch:
        """Everything that is due within a second is written, or isn't."""
        self.wait(1_000)
        batch = self.batch()
        assert batch is not None, "nothing is to be written"
        settling.committed(self.state, batch, failed=failed, copies=copies)
        self.state.check()
        return batch

    def no_receipts(self) -> None:
        """Answer every LOAD_OWED: there is no row."""
        from node.mail import receipts

        for effect in self.asked(effects.LOAD_OWED):
            receipts.loaded(self.state, effect[1:], None)
