"""Group commit: many submits, one LMDB transaction, one fsync; each submit whole or not at all.

`Committer` is the logic, and runs wherever it is called. `CommitterThread` calls it from one long-lived thread, so
that the loop never waits for a disk; inline, the store calls it from `deliver_results`, so that a simulation is
deterministic.

A submit that can fail for a reason of its own (a transaction's function, a merge) is applied in a child of the
batch. If anything else fails, the batch is undone and its submits are tried one by one.
"""

from __future__ import annotations

import contextlib
import resource
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Any

import lmdb

from store.batch import Batch
from store.carried import Opened, open_parts, pieces
from store.deferred import Deferred, Kept
from store.environment import is_fatal, is_full
from store.errors import CommitterDied, StoreError, StoreFatal
from store.floor import FOREIGN_SLICE_ROWS, SLICE_ROWS, Floor, Slices
from store.groupstate import GroupState
from store.limits import COMPANY_ROWS, FULL_TRIES, MEASURE_EVERY
from store.reading import logical_key
from store.results import Ready, Result, Results
from store.runs import Met
from store.schema import Touched
from store.submit import Call, Submit
from store.transaction import Transaction
from store.work import Event
from store.writes import Row, renew


class Committer:
    """Commits batches of one group, on one thread."""

    __slots__ = ("_floor", "_publish", "_results", "_settled", "_state")

    def __init__(
        self,
        state: GroupState,
        results: Results,
        settled: Callable[[tuple[int, int]], None],
        publish: Callable[[list[Event]], None],
        floor: Floor | None = None,
    ) -> None:
        self._state = state
        self._floor = floor
        self._results = results
        self._settled = settled
        self._publish = publish

    def commit(self, submits: list[Submit]) -> None:
        """Commit what can be committed and queue all results. Never raises, short of a defect here."""
        start = 0
        for at, submit in enumerate(submits):
            if submit.alone:
                self._commit(submits[start:at])
                if submit.alter is None:
                    self._commit([submit])
                else:
                    self._alter(submit, submit.alter)
                start = at + 1
        self._commit(submits[start:] if start else submits)

    def _alter(self, submit: Submit, alter: Callable[[GroupState], Any]) -> None:
        """A step of an alteration: it commits by itself."""
        state = self._state
        if state.fatal is None:
            self._release()  # what fails for want of room isn't tried again here
            try:
                outcome = Result(None, state.sequence, alter(state))
            except Exception as raised:  # noqa: BLE001 - as for any submit
                error = self._named(raised)
                outcome = Result(error)
                if isinstance(error, StoreFatal):
                    state.fatal = error
        if state.fatal is not None:
            outcome = Result(state.fatal)
        self._results.add([(self._settled, (submit.count, submit.size)), (submit.done, outcome)])

    def _commit(self, submits: list[Submit]) -> None:
        if not submits:
            return
        state = self._state
        told: list[Ready] = []
        if state.fatal is None:
            began = time.perf_counter()
            outcomes = self._together(submits, told)
            state.counters.commit(len(submits), submits, time.perf_counter() - began)
        if state.fatal is not None:
            outcomes, told = [Result(state.fatal)] * len(submits), []
        ready: list[Ready] = [
            (self._settled, (sum(submit.count for submit in submits), sum(one.size for one in submits)))
        ]
        ready += told
        ready += [(submit.done, outcome) for submit, outcome in zip(submits, outcomes, strict=True)]
        self._results.add(ready)
        if state.fatal is None and state.counters.commits % MEASURE_EVERY == 0:
            with contextlib.suppress(StoreError):  # no reader free: next time
                state.measure()

    def _together(self, submits: list[Submit], told: list[Ready]) -> list[Result]:
        """Commit them in one transaction if it can be, and add to `told` what the loop hears of each commit."""
        state = self._state
        batch = state.batch()
        try:
            outcomes = self._apply(batch, submits)
            batch.commit()
        except Exception as raised:  # noqa: BLE001 - whatever it is, it becomes the result of the submit it belongs to
            error = self._named(raised)
            batch.abort()
            if isinstance(error, StoreFatal):
                state.fatal = error
                return []
            full = isinstance(error, StoreError) and is_full(error)
            if full and self._release():
                return self._together(submits, told)
            if len(submits) == 1 and not submits[0].is_several:
                return [Result(error)]
            return self._apart(submits, told, full=full)
        first, state.sequence = state.sequence, batch.sequence
        if batch.events:
            told.append((self._publish, batch.events))
        if batch.tape is not None and state.tap is not None and batch.sequence != first:
            told.append((state.tap, batch.tape.finish(first, batch.sequence)))
        return outcomes

    def _release(self) -> bool:
        """Whether free pages were held back, so that there may be room now."""
        spacing = self._state.places.spacing
        return spacing is not None and spacing.release()

    def _apply(self, batch: Batch, submits: list[Submit]) -> list[Result]:
        floor = self._floor
        if floor is None or not self._state.warm:
            return self._all(batch, submits)
        if floor.wanted:
            floor.until_probe -= 1
            slices = Slices(floor, self._results.wake)
            try:
                outcomes = self._all(batch, submits, slices)
                batch.note_stale(slices.step)
                return outcomes
            finally:
                slices.end()
        switches = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        outcomes = self._all(batch, submits)
        batch.note_stale()
        switches = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - switches
        floor.learn(switches, sum(submit.count for submit in submits))
        return outcomes

    def _all(self, batch: Batch, submits: list[Submit], slices: Slices | None = None) -> list[Result]:
        outcomes: list[Result] = []
        generation = self._state.generation
        run: list[Submit] = []
        for submit in submits:
            if submit.puts and submit.generation == generation:
                if run and run[0].source != submit.source:
                    outcomes += self._run(batch, run, slices)
                    run = []
                run.append(submit)
                continue
            if run:
                outcomes += self._run(batch, run, slices)
                run = []
            outcomes.append(self._one(batch, submit, slices))
        return outcomes + self._run(batch, run, slices) if run else outcomes

    def _run(self, batch: Batch, run: list[Submit], slices: Slices | None) -> list[Result]:
        """Submits of one source that only put: each row takes one sequence, so they can be applied as one."""
        if batch.tape is not None:
            batch.tape.turn(run[0].source)
        sequence = batch.sequence
        rows = run[0].rows if len(run) == 1 else [row for submit in run for row in submit.rows]
        self._rows(batch, rows, slices)
        outcomes = []
        for submit in run:
            sequence += len(submit.rows)
            outcomes.append(Result(None, sequence))
        assert sequence == batch.sequence
        return outcomes

    def _one(self, batch: Batch, submit: Submit, slices: Slices | None = None) -> Result:
        if batch.tape is not None:
            batch.tape.turn(submit.source)
        if submit.generation != self._state.generation and submit.rows:
            try:
                submit.rows = renew(self._state.tables, submit.rows)
            except StoreError as error:
                return Result(error)
        if submit.parts is not None:
            return self._foreign(batch, submit, slices)
        if submit.calls is not None:
            return self._calls(batch, submit.calls, slices)
        if submit.risky:
            return self._in_a_child(batch, submit, lambda work, submit: work.apply(submit.rows), slices)
        self._rows(batch, submit.rows, slices)
        return Result(None, batch.sequence)

    def _rows(self, batch: Batch, rows: list[Row], slices: Slices | None) -> None:
        if slices is None:
            batch.apply(rows)
            return
        for start in range(0, len(rows), SLICE_ROWS):
            slices.step()
            batch.apply(rows[start : start + SLICE_ROWS])

    def _calls(self, batch: Batch, calls: Sequence[Call], slices: Slices | None) -> Result:
        """Transactions. Gives a result for each."""
        if slices is not None:
            slices.end()  # they may take any time
        kept = Kept(batch)
        outcomes: list[Result] = []
        for fn, args in calls:
            outcomes.append(self._called(batch, kept, fn, args))
            if kept.broken is not None:
                raise kept.broken
        self._rows(batch, kept.take(), slices)
        return Result(None, batch.sequence, outcomes)

    def _called(self, batch: Batch, kept: Kept, fn: Callable[..., Any], args: tuple[Any, ...]) -> Result:
        """What the function raises undoes it, and nothing else."""
        work = Deferred(batch, kept)
        try:
            value = fn(Transaction(work, self._state.tables), *args)
            work.check()
        except Exception as raised:  # noqa: BLE001 - the caller's function; whoever waits for it is told
            work.abort()
            return self._failed(raised)
        work.apply()
        return Result(None, kept.sequence, value)

    def _in_a_child(
        self, batch: Batch, submit: Submit, apply: Callable[[Batch, Submit], Any], slices: Slices | None
    ) -> Result:
        """Where what is raised undoes this submit, and no other."""
        if slices is not None:
            slices.end()  # a merge or `reconcile` may take any time
        child = batch.child()
        try:
            value = apply(child, submit)
            child.join()
        except Exception as raised:  # noqa: BLE001 - others' functions; whoever waits for it is told
            child.abort()
            return self._failed(raised)
        return Result(None, batch.sequence, value)

    def _failed(self, raised: Exception) -> Result:
        """One submit failed. Raises what concerns all that are committed with it."""
        error = self._named(raised)
        if is_fatal(error) or (isinstance(error, StoreError) and is_full(error)):
            raise error from raised
        return Result(error)

    # ---- other nodes' records -----------------------------------------------------------------------

    def _foreign(self, batch: Batch, submit: Submit, slices: Slices | None) -> Result:
        assert submit.parts is not None
        try:
            opened = open_parts(self._state.tables, submit.parts)
        except StoreError as error:
            return Result(error)

        if submit.risky or self._state.reconcile is not None or any(part.risky for part in opened):
            return self._in_a_child(
                batch, submit, lambda work, submit: self._take(work, submit, [opened]), slices
            )
        some: Iterable[list[Opened]] = [opened]
        if slices is not None:
            some = _stepping(slices, pieces(opened, FOREIGN_SLICE_ROWS))
        changed = self._take(batch, submit, some)
        return Result(None, batch.sequence, changed)

    def _take(self, work: Batch, submit: Submit, opened: Iterable[list[Opened]]) -> int:
        count = 0
        touched: Touched = []
        reconcile = self._state.reconcile
        met: Met = None if reconcile is None else []
        for some in opened:
            for table, keys in work.take(some, trusted=submit.trusted, met=met):
                count += len(keys)
                if reconcile is not None:
                    touched += [(table.name, logical_key(table, key)) for key in keys]
        if reconcile is not None and (touched or met):
            both = [(table.name, logical_key(table, key)) for table, key in met or ()]
            reconcile(Transaction(work, self._state.tables), touched, both)
        work.apply(submit.rows)
        return count

    # ---- when something fails -----------------------------------------------------------------------

    def _apart(self, submits: list[Submit], told: list[Ready], *, full: bool) -> list[Result]:
        """Each submit in a transaction of its own. After some failures for want of room, only those that free some."""
        outcomes: list[Result] = []
        failures = 0
        last: BaseException | None = None
        for submit in submits:
            if submit.calls is not None and submit.is_several:
                outcomes.append(self._calls_apart(submit, submit.calls, told, full=full))
                if self._state.fatal is not None:
                    return []
                continue
            if full and failures >= FULL_TRIES and submit.grows:
                outcomes.append(Result(last))
                continue
            mine = self._together([submit], told)
            if self._state.fatal is not None:
                return []
            outcomes += mine
            error = mine[0].error
            if isinstance(error, StoreError) and is_full(error):
                failures += 1
                last = error
        return outcomes

    def _calls_apart(self, submit: Submit, calls: Sequence[Call], told: list[Ready], *, full: bool) -> Result:
        each = [Submit([], 0, submit.done, calls=(call,), source=submit.source) for call in calls]
        found = self._apart(each, told, full=full)
        return Result(
            None, self._state.sequence, [one.value[0] if one.error is None else one for one in found]
        )

    def _named(self, error: BaseException) -> BaseException:
        if isinstance(error, lmdb.Error):
            return self._state.environment.named(error, "write")
        return error


def _stepping(slices: Slices, several: Iterable[list[Opened]]) -> Iterator[list[Opened]]:
    for some in several:
        slices.step()
        yield some


class CommitterThread:
    """One long-lived thread that takes submits from a queue. It waits a little for company, then commits."""

    __slots__ = ("_batch", "_committer", "_queue", "_state", "_thread")

    def __init__(self, committer: Committer, state: GroupState) -> None:
        self._committer = committer
        self._state = state
        self._queue: SimpleQueue[Submit | None] = SimpleQueue()
        self._batch: list[Submit] = []
        self._thread = threading.Thread(target=self._run, name=f"commit {state.name}", daemon=True)
        self._thread.start()

    def put(self, submit: Submit) -> None:
        """Hand over a submit."""
        self._queue.put(submit)

    def stop(self) -> None:
        """Commit what is queued, then end. Blocks until then."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while self.step():
                pass
        except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            fatal = CommitterDied(
                f"the committer of group {self._state.name!r} met a defect ({type(error).__name__})"
            )
            fatal.__cause__ = error
            self._state.fatal = fatal
            self._refuse()

    def _refuse(self) -> None:
        """Answer everybody who waits, and whoever still comes, with the fatal error."""
        self._committer.commit(self._batch)
        while (submit := self._queue.get()) is not None:
            self._committer.commit([submit])

    def step(self) -> bool:
        """Take one batch and commit it. False when told to stop."""
        first = self._queue.get()
        if first is None:
            return False
        linger = self._state.settings.linger_ms / 1000
        if (
            linger
            and first.count < COMPANY_ROWS
            and not first.alone
            and self._queue.qsize() < self._state.settings.batch_rows
        ):
            time.sleep(linger)
        self._batch = batch = [first]
        going_on = self._take(batch)
        self._committer.commit(batch)
        self._batch = []
        return going_on

    def _take(self, batch: list[Submit]) -> bool:
        """Add what has come meanwhile. False when told to stop."""
        rows = batch[0].count
        limit = self._state.settings.batch_rows
        try:
            while rows < limit:
                submit = self._queue.get_nowait()
                if submit is None:
                    return False
                batch.append(submit)
                rows += submit.count
        except Empty:
            pass
        return True
