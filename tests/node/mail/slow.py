"""A group whose reads and commits happen, and are answered, when the seeded hand says so."""

from store.errors import DamagedRecord, DiskFull, StoreBusy
from store.results import Result


class Commit:
    """The one commit under way."""

    __slots__ = ("batch", "done", "result", "writes")

    def __init__(self, writes, batch, done):
        self.writes = writes
        self.batch = batch
        self.done = done
        self.result = None  # once it was applied or has failed


class SlowGroup:
    """The interface of an open group, as far as mail uses it.

    perform: what runs a read function, apply: what applies writes; both at once. warm: the share of reads answered
    before they return. fifo: one reader that answers in order; otherwise any read may be answered at any time.
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
        self.reads = []  # [fn, done, result or None]
        self.commit = None
        self.tables = None
        self.on_unreadable = None  # told of receipts that could not be read

    def calm(self):
        """No more faults."""
        self.read_failures = self.busy = self.commit_failures = 0

    def forget(self):
        """The process died."""
        self.reads = []
        self.commit = None

    # ---- what the driver calls -----------------------------------------------------------------

    def read(self, fn, done):
        if self.busy and self.hand.random() < self.busy:
            raise StoreBusy("the hand says so")
        if self.warm and self.hand.random() < self.warm:
            done(self._performed(fn))
        else:
            self.reads.append([fn, done, None])

    def submit(self, writes, done):
        assert self.commit is None, "two commits at once"
        if self.commit_failures and self.hand.random() < self.commit_failures / 4:
            raise StoreBusy("the hand says so")
        self.commit = Commit(writes, self.tables.batch, done)

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

    def step_commit(self, on_applied):
        """The commit is carried out, or answered."""
        commit = self.commit
        if commit is None:
            return False
        if commit.result is None:
            if self.commit_failures and self.hand.random() < self.commit_failures:
                commit.result = Result(error=DiskFull("the hand says so"))
            else:
                self.carry_out(on_applied)
            if self.hand.random() < 0.5:
                return True
        self.commit = None
        commit.done(commit.result)
        return True

    def carry_out(self, on_applied):
        """Make the commit durable; nobody was told yet."""
        commit = self.commit
        on_applied(commit.batch, lambda: self.apply(commit.writes))
        commit.result = Result()
