"""What accounts need of whoever keeps their rows: transactions of one partition. A group that stands alone, and one
with copies on other nodes, which takes transactions only of the partitions that this node serves.

Reads need nothing of the kind: they are answered by the node that serves the partition, from its own disk.
"""

from collections.abc import Callable
from typing import Any, Protocol

from replication.carrier import Carrier
from replication.core.errors import ReplicationError
from replication.core.state import SERVING
from replication.procedures import Within
from store.errors import StoreBusy
from store.group import OpenGroup
from store.results import Result
from store.waiting import wait_result

Written = Callable[[Result], None]


class Keeping(Protocol):
    """`done` is told a StoreBusy also of what may have happened: whoever asks again gets the same answer.

    confined: whether a transaction must keep to its partition.
    """

    confined: bool

    def serves(self, partition: int) -> bool:
        """Whether this node may change rows of it."""
        ...

    def submit(
        self, partition: int, done: Written, fn: Callable[..., Any], *args: Any, agreed: bool = False
    ) -> None:
        """Run ``fn(transaction, *args)``, alone and atomic; `done` when it is as durable as it will be.

        Args:
            agreed: `done` is told a StoreBusy, too, if it is on fewer nodes than there are to be: what mustn't be
                granted on both sides of a split.

        Raises:
            StoreError: it was not run, and `done` is not called.
        """
        ...

    async def transact(self, partition: int, fn: Callable[..., Any], *args: Any) -> Any:
        """The same awaited: gives what ``fn`` returned, raises what went wrong."""
        ...


class Alone:
    """A group without copies."""

    __slots__ = ("_group", "confined")

    def __init__(self, group: OpenGroup) -> None:
        self.confined = False
        self._group = group

    def serves(self, partition: int) -> bool:
        """Every partition is this node's."""
        return True

    def submit(
        self, partition: int, done: Written, fn: Callable[..., Any], *args: Any, agreed: bool = False
    ) -> None:
        """Durable on this node's disk."""
        self._group.submit_transaction(done, fn, *args)

    async def transact(self, partition: int, fn: Callable[..., Any], *args: Any) -> Any:
        """See `Keeping`."""
        return await self._group.transact(fn, *args)


class Replicated:
    """A group with copies: done when the heir has it, too, or there is none. Whoever has the carrier drains it before
    the pass ends, and never while mail's effects are carried out.

    Args:
        is_enough: whether so many copies are as many as there are to be now, for what must be agreed upon.
    """

    __slots__ = ("_carrier", "_is_enough", "confined")

    def __init__(self, carrier: Carrier, is_enough: Callable[[int], bool]) -> None:
        self.confined = True
        self._carrier = carrier
        self._is_enough = is_enough

    def serves(self, partition: int) -> bool:
        """Whether it is served here."""
        part = self._carrier.state.parts[partition]
        return part.phase == SERVING and not part.ceased

    def submit(
        self, partition: int, done: Written, fn: Callable[..., Any], *args: Any, agreed: bool = False
    ) -> None:
        """See `Keeping`."""

        def ended(copies: int, error: Exception | None, value: Any = None) -> None:
            if isinstance(error, ReplicationError):
                error = StoreBusy(error.cause)
            elif agreed and error is None and not self._is_enough(copies):
                error = StoreBusy(f"it is on {copies} node only")
            done(Result(error, value=value))

        try:
            self._carrier.transact(partition, Within(fn, partition), args, ended)
        except ReplicationError as error:
            raise StoreBusy(error.cause) from error

    async def transact(self, partition: int, fn: Callable[..., Any], *args: Any) -> Any:
        """See `Keeping`."""
        result = await wait_result(lambda done: self.submit(partition, done, fn, *args))
        return result.value
