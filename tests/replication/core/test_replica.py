"""Some replicas together: whatever happens on the way, copies agree in the end and nothing settled is missing."""

from contextlib import suppress
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from replication.core import messages, replica
from replication.core.errors import ClaimLost, ReplicationError
from replication.core.state import ALIVE, DEAD, SERVING, SILENT
from tests.replication.core.stand import Attempt, Node, Stand

# ---- conversations --------------------------------------------------------------------------------------


def test_nodes_that_start_together_agree_on_who_serves() -> None:
    stand = Stand(3, partitions=6).ready()
    assert [stand.servers(p) for p in range(6)] == ["A", "B", "C", "A", "B", "C"]
    assert {stand.claim(letter).epoch for letter in "ABC"} == {1}


def test_a_node_that_is_alone_serves_alone() -> None:
    stand = Stand(3, partitions=3)
    stand.start("C")
    stand.run(4_000)
    assert [stand.servers(p) for p in range(3)] == ["C", "C", "C"]
    ended = stand["C"].write(1, "k", 1)
    stand.work()
    assert ended == [(1, None)]


def test_a_write_is_settled_when_the_heir_has_it_durable() -> None:
    stand = Stand(2).ready()
    ended = stand["A"].write(0, "k", "v")
    stand["A"].disk()
    assert stand.deliver("A", "B")
    assert ended == [], "the heir has it, but not on its disk"
    stand["B"].disk()
    assert ended == []
    stand.deliver("B", "A")
    assert ended == [(2, None)]
    assert stand["B"].store.values(0) == {"k": "v"}


def test_many_writes_are_settled_by_one_ack() -> None:
    stand = Stand(2).ready()
    ends = [stand["A"].write(0, f"k{n}", n) for n in range(100)]
    stand["A"].disk()
    stand.deliver("A", "B")
    before = len(stand.sent(messages.ACK))
    stand["B"].disk()
    stand.deliver("B", "A")
    assert all(ended == [(2, None)] for ended in ends)
    assert len(stand.sent(messages.ACK)) - before <= 2


def test_the_heir_takes_over_and_the_old_primary_becomes_its_heir() -> None:
    stand = Stand(3).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    stand.crash("A")
    stand.see()
    stand.run(3_000)
    assert stand.servers(0) == "B"
    assert stand.claim("B").rank == (2, b"B")
    ended = stand["B"].write(0, "l", 2)
    stand.work()
    assert ended == [(2, None)], "the next in rank is the heir meanwhile"
    stand.start("A")
    stand.run(5_000)
    assert stand.servers(0) == "B"
    assert stand.copies(0) == [{"k": 1, "l": 2}] * 2


def test_a_paused_primary_is_fenced_by_epoch() -> None:
    stand = Stand(3).ready()
    stand.split("A", "BC")
    for node in (stand["B"], stand["C"]):
        replica.liveness(node.state, b"A", 3)
        node.carry_out()
    ended = stand["A"].write(0, "k", "old")
    stand.run(3_000)
    assert stand.claim("B").rank == (2, b"B")
    stand.heal()
    stand.see()
    stand.run(3_000)
    assert stand.servers(0) == "B"
    ((copies, error),) = ended
    assert copies == 0
    assert isinstance(error, ClaimLost)
    with pytest.raises(ClaimLost):
        stand["A"].write(0, "k", "again")


def test_both_sides_of_a_split_serve_and_what_both_wrote_is_there_afterwards() -> None:
    stand = Stand(4).ready()
    stand.split("AC", "BD")
    stand.see()
    stand.run(4_000)
    assert stand.servers(0) == "AB"
    left, right = stand["A"].write(0, "left", 1), stand["B"].write(0, "right", 2)
    stand["A"].write(0, "both", "A")
    stand["B"].write(0, "both", "B")
    stand.work()
    assert left == right == [(2, None)]
    stand.heal()
    stand.see()
    stand.run(8_000)
    assert len(stand.servers(0)) == 1
    first, second = stand.copies(0)
    assert first == second
    assert first["left"] == 1
    assert first["right"] == 2
    assert first["both"] in ("A", "B")


def test_a_directory_restored_from_a_copy_is_recognised_and_loses_nothing() -> None:
    stand = Stand(3).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    stand.run(2_000)
    copy = deepcopy(stand["A"].store)
    ends = [stand["A"].write(0, f"new{n}", n) for n in range(5)]
    stand.work()
    assert all(ended == [(2, None)] for ended in ends)
    stand.crash("A")
    stand["A"].store = copy
    stand.start("A")
    stand.run(10_000)
    assert len(stand.servers(0)) == 1
    assert all(len(rows) == 6 for rows in stand.copies(0))
    assert len(stand.copies(0)) == 2


def test_an_heir_that_takes_in_nothing_is_replaced() -> None:
    stand = Stand(3).ready()
    ended = stand["A"].write(0, "k", 1)
    stand["A"].disk()
    for _ in range(130):
        stand.deliver()
        stand["A"].disk()
        stand["C"].disk()
        stand.tick()
    assert stand.claim("A").heir == b"C"
    assert ended == [(2, None)]


def test_writes_that_are_too_many_for_one_frame_are_settled_when_the_heir_has_filled_up() -> None:
    stand = Stand(2, window_rows=4, whole_rows=8, chunk_rows=2).ready()
    stand.crash("B")
    ends = [stand["A"].write(0, f"k{n}", n) for n in range(20)]
    stand["A"].disk()
    assert all(ended == [] for ended in ends)
    stand.start("B")
    stand.run(5_000)
    assert all(ended == [(2, None)] for ended in ends)


def test_a_former_heir_that_comes_back_says_nothing_about_the_one_that_is() -> None:
    stand = Stand(3).ready()
    stand.crash("B")
    stand.see()
    stand.run(3_000)
    assert stand.claim("A").heir == b"C"
    stand.start("B")
    stand.run(5_000)
    assert stand["A"].state.parts[0].heir_live
    assert replica.status(stand["A"].state)["single"] == []


def test_a_planned_move_makes_the_target_primary_and_loses_no_write() -> None:
    stand = Stand(3).ready()
    ends = [stand["A"].write(0, f"k{n}", n) for n in range(5)]
    moved: list[Any] = []
    replica.move(stand["A"].state, 0, b"C", lambda *how: moved.append(how))
    stand["A"].carry_out()
    stand.run(3_000)
    assert moved == [(0, None)]
    assert stand.servers(0) == "C"
    assert stand.claim("C").heir == b"A"
    assert all(ended == [(2, None)] for ended in ends)
    assert stand.copies(0) == [{f"k{n}": n for n in range(5)}] * 2


def test_a_forced_partition_is_served_from_what_is_there() -> None:
    stand = Stand(3).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    stand.crash("A", "B")
    stand.see()
    stand.run(10_000)
    assert stand.servers(0) == ""
    replica.force(stand["C"].state, 0)
    stand["C"].carry_out()
    stand.run(2_000)
    assert stand.servers(0) == "C"
    stand.start("A", "B")
    stand.run(8_000)
    assert len(stand.servers(0)) == 1
    assert stand.copies(0) == [{"k": 1}] * 2, "what came back is merged"


def test_copies_that_differ_are_found_and_mended() -> None:
    stand = Stand(2).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    stand.run(1_000)
    version, _, sequence = stand["B"].store.rows[0, "k"]
    stand["B"].store.rows[0, "k"] = ((0, 0, 0), "rot", sequence)
    stand.run(10_000)
    assert ("copies_differ", {"partition": 0, "table": "t", "keys": [1, 1]}) in stand["B"].reports
    assert stand.copies(0) == [{"k": 1}] * 2
    assert stand["B"].store.rows[0, "k"][0] == version


# ---- what is not understood -----------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.binary(max_size=9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=12,
)


@given(st.integers(0, len(messages.NAMES)), st.lists(VALUES, max_size=10))
@profile(deadline=None)
def test_nothing_that_a_peer_says_is_an_error_here(code: int, rest: list[Any]) -> None:
    stand = fresh()
    replica.received(stand["A"].state, b"B", [code, *rest])
    stand["A"].carry_out()


@cache
def _ready() -> Stand:
    return Stand(2).ready()


def fresh() -> Stand:
    return deepcopy(_ready())


@pytest.mark.parametrize("message", [[], None, 7, "text", [-1], [None], [[]], {}])
def test_malformed_messages_are_counted(message: Any) -> None:
    stand = Stand(2).ready()
    replica.received(stand["A"].state, b"B", message)
    assert stand["A"].state.counts.malformed == 1


def test_strangers_are_counted() -> None:
    stand = Stand(2).ready()
    replica.received(stand["A"].state, b"Z", [messages.HAIL, 1, b""])
    assert stand["A"].state.counts.malformed == 1


# ---- whatever happens -----------------------------------------------------------------------------------


KEYS = st.lists(st.integers(-3, 3), min_size=1, max_size=6)


class Replicas(RuleBasedStateMachine):
    """Writes, deletes and transactions, lost and delayed messages, crashes, pauses, splits, wrong opinions, moves,
    purges, clocks that jump ahead, and one directory restored, lost or cloned between two times of
    quiet. Then copies are equal, what was settled on two nodes is there or gave way to a later write, nothing is there
    that nobody wrote, and pairs are whole."""

    letters = "ABCDE"

    @initialize(
        count=st.integers(2, 5),
        partitions=st.integers(1, 3),
        copies=st.integers(2, 3),
        small=st.booleans(),
        purged=st.booleans(),
        caches=st.booleans(),
    )
    def begin(
        self, count: int, partitions: int, copies: int, small: bool, purged: bool, caches: bool
    ) -> None:
        settings: dict[str, Any] = {"window_rows": 4, "whole_rows": 8, "chunk_rows": 2} if small else {}
        settings["caches"] = caches
        settings["copies"] = copies
        if purged:
            settings |= {"purge_ms": 5_000, "absence_ms": 10**9}
        self.stand = Stand(count, partitions=partitions, **settings).ready()
        self.values = 0
        self.promised: list[Attempt] = []
        self.copies: dict[str, Any] = {}
        self.spared = True
        """Whether no directory was lost since the last quiet."""

    def node(self, number: int) -> Node:
        return self.stand[self.letters[number % len(self.stand.names)]]

    def served_by(self, n: int, p: int) -> Node | None:
        """One of those that serve a partition."""
        servers = self.stand.servers(p)
        return self.stand[servers[n % len(servers)]] if servers else None

    @rule(n=st.integers(0, 4), p=st.integers(0, 2), keys=KEYS)
    def write(self, n: int, p: int, keys: list[int]) -> None:
        """0 is a new key; others are written again, or deleted if negative."""
        p %= self.stand.partitions
        node = self.served_by(n, p)
        if node is None:
            return
        for number in keys:
            self.values += 1
            key = f"r{abs(number)}" if number else f"k{self.values}"
            try:
                node.write(p, key, None if number < 0 else self.values)
            except ReplicationError:
                continue

    @rule(n=st.integers(0, 4), p=st.integers(0, 2), keys=KEYS)
    def write_and_settle(self, n: int, p: int, keys: list[int]) -> None:
        self.write(n, p, keys)
        self.stand.work()

    @rule(n=st.integers(0, 4), p=st.integers(0, 2), deleted=st.booleans())
    def transact(self, n: int, p: int, deleted: bool) -> None:
        """Two keys that are only ever changed together, to the same."""
        p %= self.stand.partitions
        node = self.served_by(n, p)
        if node is not None:
            self.values += 1
            value = None if deleted else self.values
            with suppress(ReplicationError):
                node.transact(p, {"left": value, "right": value})

    @rule(n=st.integers(0, 4), p=st.integers(0, 2), to=st.integers(0, 4))
    def move(self, n: int, p: int, to: int) -> None:
        p %= self.stand.partitions
        node = self.served_by(n, p)
        if node is not None:
            replica.move(node.state, p, self.node(to).name, lambda copies, error: None)
            node.carry_out()

    @rule(n=st.integers(0, 4), count=st.integers(1, 4))
    def disk(self, n: int, count: int) -> None:
        if self.node(n).up:
            self.node(n).disk(count)

    @rule(a=st.integers(0, 4), b=st.integers(0, 4), count=st.integers(1, 5))
    def deliver(self, a: int, b: int, count: int) -> None:
        self.stand.deliver(self.node(a).name.decode(), self.node(b).name.decode(), count)

    @rule()
    def work(self) -> None:
        self.stand.work()

    @rule(length=st.integers(1, 30))
    def time(self, length: int) -> None:
        self.stand.run(100 * length)

    @rule(length=st.integers(1, 8))
    def time_without_messages(self, length: int) -> None:
        for _ in range(length):
            self.stand.tick()

    @rule(a=st.integers(0, 4), b=st.integers(0, 4))
    def lose(self, a: int, b: int) -> None:
        """What is on the way from a to b."""
        link = self.stand.links.get((self.node(a).name, self.node(b).name))
        if link is not None:
            link.clear()

    @rule(a=st.integers(0, 4), b=st.integers(0, 4))
    def repeat(self, a: int, b: int) -> None:
        link = self.stand.links.get((self.node(a).name, self.node(b).name))
        if link:
            link.append(link[0])

    @rule(n=st.integers(0, 4), seen=st.booleans())
    def crash(self, n: int, seen: bool) -> None:
        self.stand.crash(self.node(n).name.decode())
        if seen:
            self.stand.see()

    @rule(n=st.integers(0, 4))
    def start(self, n: int) -> None:
        if not self.node(n).up:
            self.stand.start(self.node(n).name.decode())

    @rule(n=st.integers(0, 4))
    def pause(self, n: int) -> None:
        self.node(n).paused = self.node(n).up

    @rule(n=st.integers(0, 4))
    def resume(self, n: int) -> None:
        """What was sent meanwhile comes late."""
        self.node(n).paused = False

    @rule(n=st.integers(0, 4), by=st.sampled_from([1, 500, 5_000, 3_600_000]))
    def jump(self, n: int, by: int) -> None:
        """The clock of the core is monotonic: it can be late to look, and never goes back."""
        self.node(n).ahead += by

    @rule(n=st.integers(0, 4))
    def copy_directory(self, n: int) -> None:
        self.copies[self.node(n).name.decode()] = deepcopy(self.node(n).store)

    @rule(n=st.integers(0, 4), restored=st.booleans())
    def lose_directory(self, n: int, restored: bool) -> None:
        """An older copy of it is put in its place, or nothing; at any moment, once between two times of quiet."""
        letter = self.node(n).name.decode()
        self.replace(n, deepcopy(self.copies.get(letter)) if restored else None)

    @rule(n=st.integers(0, 4), goes_on=st.booleans())
    def clone_directory(self, n: int, goes_on: bool) -> None:
        """A machine is copied; the copy runs in its place, and what the original still wrote is heard by nobody. (One
        name is one node: both lives can't be heard at once.)"""
        if not self.spared or not self.node(n).up:
            return
        clone = deepcopy(self.node(n).store)
        if goes_on:
            for p in range(self.stand.partitions):
                if p in self.node(n).serves:
                    self.write(n, p, [0, 1])
            self.node(n).disk()
        self.replace(n, clone)

    def replace(self, n: int, store: Any) -> None:
        """A node starts anew, on that directory or an empty one."""
        if not self.spared:
            return
        letter = self.node(n).name.decode()
        self.promise()
        self.spared = False
        for attempt in self.stand.attempts:
            attempt.copies *= attempt.copies == 2
        self.promised = [attempt for attempt in self.promised if attempt.copies]
        self.stand.crash(letter)
        self.node(n).store = store or type(self.node(n).store)()
        self.stand.start(letter)

    @rule(a=st.integers(0, 4), b=st.integers(0, 4))
    def cut_one_way(self, a: int, b: int) -> None:
        link = (self.node(a).name, self.node(b).name)
        if link in self.stand.links:
            self.stand.cut.add(link)

    @rule(a=st.integers(0, 4), b=st.integers(0, 4), what=st.sampled_from([ALIVE, SILENT, DEAD, DEAD]))
    def opinion(self, a: int, b: int, what: int) -> None:
        """A detector may think anything."""
        node = self.node(a)
        if node.up and a != b:
            replica.liveness(node.state, self.node(b).name, what)
            node.carry_out()

    @rule(side=st.sets(st.integers(0, 4)), seen=st.booleans())
    def split(self, side: set[int], seen: bool) -> None:
        letters = [name.decode() for name in self.stand.names]
        one = "".join(letter for n, letter in enumerate(letters) if n in side)
        self.stand.split(one, "".join(letter for letter in letters if letter not in one))
        if seen:
            self.stand.see()

    @rule()
    def see(self) -> None:
        self.stand.see()

    @rule()
    def heal(self) -> None:
        self.stand.heal()
        self.stand.see()

    @rule()
    def quiet(self) -> None:
        """Everything runs and is heard: every partition is served by one node, and its copies hold what they must."""
        stand = self.stand
        stand.heal()
        for node in stand.nodes.values():
            node.paused = False
        stand.start(*[node.name.decode() for node in stand.nodes.values() if not node.up])
        stand.run(20_000)
        for _ in range(10):  # a purge makes a claim, which takes a moment to be told
            if all(
                len({stand.claim(n.decode(), p) for n in stand.names}) == 1 for p in range(stand.partitions)
            ):
                break
            stand.run(100)
        for p in range(stand.partitions):
            servers = stand.servers(p)
            assert len(servers) == 1, f"partition {p} is served by {servers!r}"
            claims = {stand.claim(name.decode(), p) for name in stand.names}
            assert len(claims) == 1
            (claim,) = claims
            assert claim.heir is not None
            primary, heir = stand.nodes[claim.primary], stand.nodes[claim.heir]
            assert primary.state.parts[p].phase == SERVING
            assert primary.state.parts[p].heir_live
            values = primary.store.values(p)
            assert values == heir.store.values(p)
            assert values.get("left") == values.get("right"), "a transaction is torn"
        assert all(node.state.waiting == 0 for node in stand.nodes.values())
        self.judge()
        self.spared = True
        for attempt in self.promised:
            attempt.copies = 2  # everywhere by now

    def promise(self) -> None:
        """Take down what writers were told; copies=1 is a promise as long as no directory is lost."""
        told = [one for one in self.stand.attempts if one.copies == 2 or (one.copies and self.spared)]
        known = {id(one) for one in self.promised}
        self.promised += [one for one in told if id(one) not in known]

    def judge(self) -> None:
        self.promise()
        stand = self.stand
        attempted = {(one.p, one.key, one.version): one.value for one in stand.attempts}
        deleted: dict[tuple[int, str], tuple[int, int, int]] = {}
        for one in stand.attempts:
            if one.value is None:
                place = one.p, one.key
                deleted[place] = max(deleted.get(place, one.version), one.version)
        there = {p: stand.nodes[stand.claim("A", p).primary].store.rows for p in range(stand.partitions)}
        for p, rows in there.items():
            for (partition, key), (version, value, _) in rows.items():
                if partition == p:
                    assert attempted[p, key, version] == value, f"nobody wrote {key} of {p}"
        for one in self.promised:
            row = there[one.p].get((one.p, one.key))
            if row is not None:
                assert row[0] >= one.version, f"{one}, and an older one is there"
            else:
                assert deleted.get((one.p, one.key), (0, 0, 0)) >= one.version, f"{one}, and it is gone"

    def teardown(self) -> None:
        if hasattr(self, "stand"):
            self.quiet()


TestReplicas = Replicas.TestCase
TestReplicas.settings = profile(max_examples=60, stateful_step_count=30, deadline=None)
