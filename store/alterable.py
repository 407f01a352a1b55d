"""What an open group offers for altering its schema while it is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from store.alterations import Alterations
from store.operations import Operation
from store.results import Result
from store.steps import Progress
from store.transform import Transformation, Transformed, transform_step
from store.waiting import wait_result


class Alterable:
    """Operations on the schema of a group. Inherited by `OpenGroup`."""

    __slots__ = ()

    _alterations: Alterations

    async def transact(self, fn: Callable[..., Any], *args: Any) -> Any:
        """As of `OpenGroup`."""
        raise NotImplementedError

    def submit_alter(self, done: Callable[[Result], None], operation: Operation) -> None:
        """`alter` for callers that can't await. Raises StoreBusy, StoreClosed, StoreFatal."""
        self._alterations.ask(operation, done)

    async def alter(self, operation: Operation) -> None:
        """Do one of `store.operations` while others read and write, and wait until it is durable and complete: an index
        can be read then, a table is where it is to be. What is left of something dropped is cleared later.

        Raises what `altering.perform` raises; and DiskFull, MapFull if it can't go on for now, which it will after a
        later commit. Cancelled, it stops waiting; the alteration goes on.
        """
        await wait_result(lambda done: self.submit_alter(done, operation))

    def alterations(self) -> tuple[Progress, ...]:
        """How far those are that are under way."""
        return self._alterations.progress()

    async def wait_altered(self) -> None:
        """Wait until no alteration is under way. Raises why what is left can't go on for now (a full disk)."""
        await wait_result(self._alterations.when_idle)

    async def transform(
        self,
        table: str,
        fn: Transformation,
        *,
        after: bytes = b"",
        told: Callable[[Transformed], None] | None = None,
    ) -> Transformed:
        """Give every record of a table the value `fn(key, value)`, in transactions of bounded size; others' commits go
        between. Gives how many in all; `told` hears of each step, and where to take it up (`after`) if it ends early.

        Raises what `transform_step` raises: the steps before it are done.
        """
        looked = changed = 0
        while True:
            step: Transformed = await self.transact(transform_step, table, fn, after)
            looked, changed = looked + step.looked, changed + step.changed
            if told is not None:
                told(Transformed(looked, changed, step.after))
            if step.after is None:
                return Transformed(looked, changed, None)
            after = step.after
