"""The store against a dictionary, with a crash possible between any two steps.

What was delivered as committed is there after every crash; what was only queued happened whole or not at all; and
`changes` lists every live key once, so that reading it from any position gives exactly what is live and newer.
"""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from store.results import Result
from store.verify import verify_group
from store.writes import DELETE, MERGE, PUT, REMOVE
from tests.store.worlds import Crashing, Plain, apply, tables

NAMES = [table.name for table in tables("disc")]
ID = {name: at for at, name in enumerate(NAMES)}
BAGS = {"bag", "tomb_bag"}
PARTITIONS = (0, 1, 300)

KEYS = [
    *((partition, element) for partition in PARTITIONS for element in (0, b"\0")),
    *((1, element) for element in (255, 256, -1, b"", b"\0\xff", "a", "ab", None, (), (1, None))),
    *((1, 0, element) for element in (0, None, "a")),
]
# Few keys: most of what can go wrong needs the same key twice.
keys = st.sampled_from(KEYS[:4]) | st.sampled_from(KEYS)
values = st.sampled_from([None, 0, 1, "x", b"y" * 3000, [1, [2]], {"k": b"v"}, ""])
sizes = st.fixed_dictionaries(
    {"colours": st.lists(st.sampled_from(["red", "blue"]))}, optional={"size": st.integers(0, 3)}
)
sets_of_numbers = st.lists(st.integers(0, 9), max_size=3)


@st.composite
def one_write(draw: Any, names: list[str]) -> tuple[Any, ...]:
    name = draw(st.sampled_from(names))
    key = draw(keys)
    if draw(st.integers(0, 3)) == 0:
        return (DELETE, ID[name], key)
    if name == "coloured":
        return (PUT, ID[name], key, draw(sizes))
    if name == "merged":
        return (draw(st.sampled_from([MERGE, PUT])), ID[name], key, draw(sets_of_numbers))
    if name in BAGS and draw(st.booleans()):
        return (REMOVE, ID[name], key, draw(values))
    return (PUT, ID[name], key, draw(values))


@st.composite
def one_submit(draw: Any) -> list[tuple[Any, ...]]:
    # Mostly one table at a time and many writes: what can go wrong needs the same key twice.
    names = draw(st.sampled_from([[name] for name in NAMES]) | st.just(NAMES))
    return draw(st.lists(one_write(names), min_size=3, max_size=20))


class StoreMachine(RuleBasedStateMachine):
    storage = "disc"

    @initialize()
    def begin(self) -> None:
        self.world = Crashing(self.storage)
        self.sure = Plain(tables(self.storage))
        self.queued: list[tuple[list[Any], list[Result]]] = []
        self.positions: list[tuple[int, int]] = []

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.end()

    def settle(self) -> None:
        """Every queued submit has been committed, in order."""
        for writes, results in self.queued:
            assert [result.error for result in results] == [None]
            apply(self.sure, NAMES, writes)
        self.queued = []

    @rule(writes=one_submit(), transact=st.booleans(), deliver=st.booleans())
    def submit(self, writes: list[Any], transact: bool, deliver: bool) -> None:
        results: list[Result] = []
        if transact:
            self.world.group.submit_transaction(
                results.append, lambda transaction: apply(transaction, NAMES, writes)
            )
        else:
            self.world.group.submit(writes, results.append)
        self.queued.append((writes, results))
        if deliver:
            self.world.store.deliver_results()
            self.settle()
            self.remember_a_position()

    @rule(writes=one_submit())
    def transact_and_raise(self, writes: list[Any]) -> None:
        results: list[Result] = []

        def fn(transaction: Any) -> None:
            apply(transaction, NAMES, writes)
            raise LookupError

        self.world.group.submit_transaction(results.append, fn)
        self.world.store.deliver_results()
        self.settle()
        assert isinstance(results[0].error, LookupError)

    def remember_a_position(self) -> None:
        self.positions.append((self.world.group.history.current.id, self.world.group.sequence))

    @rule(committed=st.booleans())
    def crash(self, committed: bool) -> None:
        if committed and self.queued:
            # The process dies between the commit and the word of it: it happened, whole.
            self.world.group.step_inline()
            for writes, _ in self.queued:
                apply(self.sure, NAMES, writes)
        self.queued = []
        self.world.crash()
        self.forget_ram()

    @rule()
    def reopen(self) -> None:
        self.world.store.deliver_results()
        self.settle()
        self.world.reopen()
        self.forget_ram()

    def forget_ram(self) -> None:
        if self.storage == "ram":
            self.sure = Plain(tables(self.storage))

    @rule(low=keys, high=keys, limit=st.integers(1, 5), reverse=st.booleans())
    def ranges_agree(self, low: Any, high: Any, limit: int, reverse: bool) -> None:
        for table in NAMES:
            self.range_agrees(table, low, high, 1_000 if table in BAGS else limit, reverse)

    def range_agrees(self, table: str, low: Any, high: Any, limit: int, reverse: bool) -> None:
        with self.world.group.snapshot() as reader:
            found = reader.range(table, low, high, limit, reverse=reverse)
        wanted = self.sure.range(table, low, high, limit, reverse=reverse)
        assert comparable(table, found) == comparable(table, wanted)

    @rule(prefix=keys | st.tuples(st.sampled_from(PARTITIONS)), after=st.none() | keys)
    def prefixes_agree(self, prefix: Any, after: Any) -> None:
        for table in NAMES:
            self.prefix_agrees(table, prefix, after)

    def prefix_agrees(self, table: str, prefix: Any, after: Any) -> None:
        with self.world.group.snapshot() as reader:
            found = reader.prefix(table, prefix, after)
        assert comparable(table, found) == comparable(table, self.sure.prefix(table, prefix, after))

    @invariant()
    def every_table_agrees(self) -> None:
        if not hasattr(self, "world"):
            return
        with self.world.group.snapshot() as reader:
            for table in NAMES:
                assert comparable(table, reader.range(table)) == comparable(table, self.sure.items(table))
                assert reader.count(table) == self.sure.count(table)
            for index, prefixes in (("colour", [("red",), ("blue",), ()]), ("size", [(0,), ()])):
                for prefix in prefixes:
                    assert reader.index("coloured", index, prefix) == self.sure.index(
                        "coloured", index, prefix
                    )

    @invariant()
    def changes_list_each_live_key_once(self) -> None:
        if not hasattr(self, "world"):
            return
        group = self.world.group
        live = []
        for partition in (*PARTITIONS, None):
            changes = group.changes(partition)
            sequences = [change.sequence for change in changes]
            assert sequences == sorted(set(sequences))
            assert all(0 < sequence <= group.sequence for sequence in sequences)
            assert all((change.table == "whole") == (partition is None) for change in changes)
            live += [
                (change.table, repr(change.key), repr(change.record.value))
                for change in changes
                if not change.record.tombstone
            ]
            if sequences:
                middle = sequences[len(sequences) // 2]
                assert group.changes(partition, middle) == changes[len(sequences) // 2 + 1 :]
        wanted = [
            (table, repr(key), repr(value))
            for table in NAMES
            if table != "local"
            for key, value in self.sure.items(table)
        ]
        assert sorted(live) == sorted(wanted)

    @invariant()
    def a_remembered_position_is_worth_itself(self) -> None:
        # This directory was never rolled back, so whoever followed it can go on from where they were. (After a crash
        # ram tables' sequences may be given again, under a new incarnation: then the position must count as nothing.)
        if not hasattr(self, "world"):
            return
        for incarnation, sequence in self.positions:
            worth = self.world.group.position(incarnation, sequence)
            assert worth == sequence or (self.storage == "ram" and worth == 0)

    @invariant()
    def everything_fits_together(self) -> None:
        if hasattr(self, "world"):
            verify_group(self.world.group)


def comparable(table: str, items: list[Any]) -> list[Any]:
    """A bag's values have no order within their key."""
    if table not in BAGS:
        return items
    return sorted(((key, value) for key, value in items), key=repr)


class RamMachine(StoreMachine):
    storage = "ram"


TestDisc = StoreMachine.TestCase
TestRam = RamMachine.TestCase
TestDisc.settings = TestRam.settings = settings(
    max_examples=50, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
