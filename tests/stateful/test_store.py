"""The store against a dictionary, with a crash possible between any two steps.

What was delivered as committed is there after every crash; what was only queued happened whole or not at all; and
`changes` lists every live key once, so that reading it from any position gives exactly what is live and newer.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from store.match import ANY, Match
from store.record import Version, encode_value
from store.results import Result
from store.subscribe import Changed, Deleted, Missed
from store.verify import verify_group
from store.writes import APPLY, DELETE, DIGEST_BYTES, MERGE, PUT, REMOVE
from tests.store.worlds import GONE, Crashing, Plain, apply, tables

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
versions = st.builds(Version, st.integers(1, 3), st.integers(1 << 40, (1 << 40) + 2), st.sampled_from([7, 8]))
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
    if draw(st.integers(0, 4)) == 0:
        others = {"coloured": sizes, "merged": sets_of_numbers}.get(name, values)
        return (APPLY, ID[name], key, draw(others), draw(versions), draw(st.integers(0, 3)) == 0)
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
    writes: list[tuple[Any, ...]] = draw(st.lists(one_write(names), min_size=3, max_size=20))
    return writes


def as_submitted(write: tuple[Any, ...]) -> tuple[Any, ...]:
    """Of a tombstone the value is None, or in a bag the digest of the value that is gone."""
    if write[0] != APPLY or not write[5]:
        return write
    op, table, key, value, version, tombstone = write
    gone = blake2b(encode_value(value), digest_size=DIGEST_BYTES).digest() if NAMES[table] in BAGS else None
    return op, table, key, gone, version, tombstone


key_patterns = (
    st.just(ANY)
    | st.tuples(st.just(ANY), st.sampled_from([0, b"\0", None, ANY]))
    | st.tuples(st.sampled_from(PARTITIONS), st.just(ANY))
    | st.tuples(st.just(1), st.just(0), st.just(ANY))
    | keys
)
value_patterns = st.sampled_from(
    [ANY, None, 1, [1, ANY], {}, {"k": ANY}, {"size": 1}, {"colours": ANY}, [ANY]]
)


class StoreMachine(RuleBasedStateMachine):
    storage = "disc"
    subscription: Any = None
    heard_of = ""

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
        if transact and all(write[0] != APPLY for write in writes):
            self.world.group.submit_transaction(
                results.append, lambda transaction: apply(transaction, NAMES, writes)
            )
        else:
            self.world.group.submit([as_submitted(write) for write in writes], results.append)
        self.queued.append((writes, results))
        if deliver:
            self.world.store.deliver_results()
            self.settle()
            self.remember_a_position()

    @rule(writes=one_submit())
    def transact_and_raise(self, writes: list[Any]) -> None:
        results: list[Result] = []

        def fn(transaction: Any) -> None:
            apply(transaction, NAMES, [write for write in writes if write[0] != APPLY])
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
        self.subscription = None
        self.world.crash()
        self.forget_ram()

    @rule()
    def reopen(self) -> None:
        self.world.store.deliver_results()
        self.settle()
        self.hear()
        self.subscription = None
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

    @rule(table=st.sampled_from(NAMES), key=key_patterns, value=value_patterns, odd=st.booleans())
    def selects_agree(self, table: str, key: Any, value: Any, odd: bool) -> None:
        where = (lambda key, value: len(repr(value)) % 2 == 1) if odd else None
        self.select_agrees(table, Match(key, value, where), 1_000 if table in BAGS else 3)

    @rule(
        match=st.builds(
            Match, st.just(ANY) | st.tuples(st.just("red")), value_patterns, index=st.just("colour")
        )
        | st.builds(
            Match,
            st.just(ANY) | st.tuples(st.integers(0, 3), st.just(ANY)) | st.tuples(st.just(ANY), st.just(0)),
            value_patterns,
            index=st.just("size"),
        ),
        limit=st.integers(1, 9),
    )
    def selects_by_index_agree(self, match: Match, limit: int) -> None:
        self.select_agrees("coloured", match, limit)

    def select_agrees(self, table: str, match: Match, limit: int) -> None:
        with self.world.group.snapshot() as reader:
            found = reader.select(table, match, limit)
        assert comparable(table, found) == comparable(table, self.sure.select(table, match, limit))

    @rule(
        wanted=st.tuples(
            st.just("colour"), st.sampled_from([(), ("red",)]), st.sampled_from(["blue", "green", "red"])
        )
        | st.tuples(st.just("size"), st.sampled_from([(), (1,)]), st.integers(-1, 3)),
        limit=st.integers(1, 5),
        on=st.booleans(),
    )
    def indexes_go_on_after_an_entry(self, wanted: Any, limit: int, on: bool) -> None:
        index, prefix, first = wanted
        after = (first,) if on or index == "colour" else (first, 0)
        with self.world.group.snapshot() as reader:
            found = reader.index("coloured", index, prefix, after, limit)
        assert found == self.sure.index("coloured", index, prefix, after, limit)

    @rule(table=st.sampled_from(NAMES), limit=st.sampled_from([1, 4, 1_000]))
    def subscribe(self, table: str, limit: int) -> None:
        self.world.store.deliver_results()
        self.settle()
        self.hear()
        if self.subscription is not None:
            self.subscription.close()
        self.subscription = self.world.group.table(table).subscribe(limit)
        self.heard_of = table
        self.sure.events = []

    @rule()
    def hear(self) -> None:
        """What a subscriber takes is what was committed, in order, as far as it had room for it."""
        if self.subscription is None:
            return
        events = [event[1:] for event in self.sure.events if event[0] == self.heard_of]
        self.sure.events = []
        found = self.subscription.take()
        limit = self.subscription.limit
        if len(events) > limit:
            assert found.pop() == Missed(len(events) - limit)
        told = [(one.key, one.value if isinstance(one, Changed) else GONE) for one in found]
        if self.heard_of in BAGS:  # the values of a key that is deleted go in no meaningful order
            assert len(told) == len(events[:limit])
            if len(events) <= limit:
                assert sorted(told, key=repr) == sorted(events, key=repr)
        else:
            assert told == events[:limit]
        assert all(isinstance(one, Changed | Deleted) for one in found)

    @invariant()
    def epochs_are_as_they_should_be(self) -> None:
        if not hasattr(self, "world"):
            return
        with self.world.group.snapshot() as reader:
            for table in set(NAMES) - BAGS:
                for key, version in self.sure.versions[table].items():
                    record = reader.record(table, key)
                    assert record.version.epoch == version.epoch
                    assert record.tombstone == (key in self.sure.tombs[table])
                    if version.sequence:
                        assert record.version == version

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
