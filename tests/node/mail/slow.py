"""A group whose reads and commits happen, and are answered, when the seeded hand says so.

It stands before the driver as a replicated group does: a commit is applied here, settled at the heir if there is one,
and answered, each at a time of its own.
"""

from node.mail.committing import Outcome
from store.errors import DamagedRecord, DiskFull, StoreBusy
from store.results import Result


class Commit:
    """The one commit under way."""

    __slots__ = ("batch", "done", "result", "settled", "writes")

    def __init__(self, writes, batch, done):
        self.writes = writes
        self.batch = batch
        self.done = done
        self.result = None  # once it was applied or has failed
        self.settled = False  # at the heir, too


class SlowGroup:
    """The interface of an open group, as far as mail uses it.

    perform: what runs a read function, apply: what applies writes; both at once. settle: applies them to the heir's
    disk, None if there is no heir. warm: the share of reads answered before they return. fifo: one reader that answers
    in order; otherwise any read may be answered at any time.
    """

    def __init__(self, hand, perform, apply, *, warm, fifo, read_failures, busy, commit_failures):
        self.hand = hand
        self.perform = perform
        self.apply = apply
        self.warm = warm
        self.fifo = fifo
        self.read_failures = read_failures
        self.busy = busy
        self.commit_failures = commit_failures
        self.settle = None
        self.home = None  # the disk
        self.ceased = frozenset()  # partitions that aren't served: what is to be written there is refused
        self.reads = []  # [fn, done, result or None]
        self.under_way = None
        self.tables = None
        self.on_unreadable = None  # told of receipts that could not be read

    def calm(self):
        """No more faults."""
        self.read_failures = self.busy = self.commit_failures = 0

    def forget(self):
        """The process died."""
        self.reads = []
        self.under_way = None

    # ---- what the driver calls -----------------------------------------------------------------

    def read(self, fn, done):
        if self.busy and self.hand.random() < self.busy:
            raise StoreBusy("the hand says so")
        if self.warm and self.hand.random() < self.warm:
            done(self._performed(fn))
        else:
            self.reads.append([fn, done, None])

    def commit(self, writes, done):
        assert self.under_way is None, "two commits at once"
        if self.commit_failures and self.hand.random() < self.commit_failures / 4:
            raise StoreBusy("the hand says so")
        self.under_way = Commit(writes, self.tables.batch, done)
        refused = self.ceased & self.tables.batch.partitions
        if refused:
            self.under_way.result = Outcome(StoreBusy("not served here"), lost=refused)

    # ---- what the hand does --------------------------------------------------------------------

    def _performed(self, fn):
        if self.read_failures and self.hand.random() < self.read_failures:
            if hasattr(fn, "owed"):
                self.on_unreadable(fn.owed)
            return Result(error=DamagedRecord("the hand says so"))
        return Result(value=self.perform(fn))

    def step_read(self):
        """One read is carried out, or answered."""
        reads = self.reads
        if not reads:
            return
        if self.fifo:
            at = (
                next((i for i, item in enumerate(reads) if item[2] is None), 0)
                if self.hand.random() < 0.5
                else 0
            )
        else:
            at = self.hand.randrange(len(reads))
        item = reads[at]
        if item[2] is None:
            item[2] = self._performed(item[0])
        else:
            del reads[at]
            item[1](item[2])

    def step_commit(self, world):
        """The commit is carried out, or settled, or answered."""
        commit = self.under_way
        if commit is None:
            return False
        if commit.result is None:
            if self.commit_failures and self.hand.random() < self.commit_failures:
                commit.result = Outcome(DiskFull("the hand says so"))
            else:
                self.carry_out(world)
            if self.hand.random() < 0.5:
                return True
        if self.settle is not None and commit.result.error is None and not commit.settled:
            self.have_settled(world)
            if self.hand.random() < 0.5:
                return True
        self.answer(commit.result)
        return True

    def answer(self, outcome):
        """Tell whoever asked for the commit."""
        commit, self.under_way = self.under_way, None
        commit.done(outcome)

    def carry_out(self, world):
        """Make the commit durable; nobody was told yet."""
        commit = self.under_way
        world.before_commit(commit.batch)
        self.apply(commit.writes)
        commit.result = Outcome()
        if self.settle is None:
            world.after_commit(commit.batch)

    def have_settled(self, world):
        """Make it durable at the heir, too."""
        commit = self.under_way
        self.settle(commit.writes)
        commit.settled = True
        commit.result = Outcome(copies=2)
        world.after_commit(commit.batch)
