"""A carrier between a real store, committing inline, and a real core; what it sends is written down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from replication.carrier import Carrier
from replication.claim import Claim
from replication.core import effects
from replication.core.errors import ClaimLost, NoMove
from replication.core.settings import ReplicaSettings
from replication.core.state import LIVE, SERVING, ReplicaState
from replication.labels import Labels
from replication.tables import replicated
from store.encoded import Encoded
from store.errors import DamagedPart, MapFull, UnknownTable
from store.limits import StoreSettings
from store.schema import Group, Table
from store.store import Store
from store.writes import PUT
from tests.replication.members import table

ME, PEER = b"me      ", b"peer    "
FIRST, SECOND = b"first   ", b"second  "


class Heard:
    """A listener that writes everything down."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    def serve(self, partition: int, epoch: int) -> None:
        self.all.append(("serve", partition, epoch))

    def cease(self, partition: int) -> None:
        self.all.append(("cease", partition))

    def report(self, what: str, details: Any) -> None:
        self.all.append(("report", what, details))


@attrs.define
class Place:
    """One group with its carrier."""

    store: Store
    carrier: Carrier
    sent: list[Any]
    heard: Heard

    @property
    def state(self) -> ReplicaState:
        return self.carrier.state

    def carry(self, *wanted: Any) -> None:
        """Have effects carried out, and what the store does for them."""
        self.state.out += wanted
        self.carrier.drain()
        while self.store.deliver_results():
            pass

    def run(self) -> None:
        self.carry()

    def put(self, name: str, *keys: Any) -> None:
        """Written here, as a user of the group would."""
        number = self.carrier.group.table(name).id
        self.carrier.group.submit([(PUT, number, (key,), key) for key in keys], lambda result: None)
        self.run()

    def parts(self) -> list[Any]:
        """Everything, as it would be pulled."""
        found: list[Any] = []
        self.carry(
            (effects.READ, [(0, 0)], 1_000, 1 << 20, lambda error, head, parts, progress: found.append(parts))
        )
        return found[0]  # type: ignore[no-any-return]


def place(path: Path, tables: tuple[Table, ...], ids: dict[str, bytes] | None = None) -> Place:
    settings = StoreSettings(map_bytes=16 << 20)
    store = Store.open(path, [replicated(Group("g", tables))], settings=settings, committer="inline")
    group = store.group("g")
    state = ReplicaState(
        ME, [ME, PEER], 1, lambda p: [ME, PEER], ReplicaSettings(check_ms=0),
        incarnation=group.history.current.id, sequence=group.sequence, position=group.position,
    )  # fmt: skip
    sent: list[Any] = []
    heard = Heard()
    labels = None if ids is None else Labels(ids)
    carrier = Carrier(state, group, lambda peer, message: sent.append((peer, message)), heard, labels)
    return Place(store, carrier, sent, heard)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    one = place(tmp_path / "here", (table("t"), table("u")), {"t": FIRST, "u": FIRST})
    yield one
    one.store.close()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Place]:
    one = place(tmp_path / "there", (table("u"), table("t")), {"t": FIRST, "u": FIRST})
    yield one
    one.store.close()


def apply(one: Place, parts: Any, rows: Any = ()) -> list[Any]:
    ended: list[Any] = []
    one.carry((effects.APPLY, PEER, parts, rows, False, lambda error, at: ended.append((error, at))))
    return ended


def serving(one: Place, heir: bytes | None = None) -> None:
    part = one.state.parts[0]
    part.claim, part.phase, part.copy = Claim(1, ME, heir), SERVING, LIVE


def test_records_are_taken_in_with_the_replicas_own_rows(here: Place, there: Place) -> None:
    here.put("t", 1, 2)
    here.put("u", 3)
    assert apply(there, here.parts(), [(("stream", PEER), [7, 8])])[0][0] is None
    assert [key for key, _ in there.carrier.group.table("t").range()] == [(1,), (2,)]
    assert there.carrier.group.table("replica").get(("stream", PEER)) == [7, 8]
    assert there.parts() != []


def test_what_is_of_no_table_here_is_not_taken_in_and_nothing_with_it(here: Place, there: Place) -> None:
    here.put("t", 1)
    here.put("u", 2)
    labels = there.carrier.labels
    assert labels is not None
    labels.put("u", SECOND)  # one of that name was dropped, and made again, here only
    labels.drop("t")
    labels.put("t", SECOND)
    labels._gone.clear()
    ((error, _),) = apply(there, here.parts(), [(("stream", PEER), [7, 8])])
    assert isinstance(error, UnknownTable)
    for name in ("t", "u"):
        assert there.carrier.group.table(name).range() == []
    assert there.carrier.group.table("replica").get(("stream", PEER)) is None


def test_what_is_of_a_table_that_was_dropped_is_passed_over(here: Place, there: Place) -> None:
    here.put("t", 1)
    here.put("u", 2)
    assert there.carrier.labels is not None
    there.carrier.labels.put("t", SECOND)
    assert apply(there, here.parts(), [(("stream", PEER), [7, 8])])[0][0] is None
    assert there.carrier.group.table("t").range() == []
    assert len(there.carrier.group.table("u").range()) == 1
    assert there.carrier.group.table("replica").get(("stream", PEER)) == [7, 8]


def test_a_damaged_part_fails_whole(here: Place, there: Place) -> None:
    here.put("t", 1)
    ((p, label, blob, rows),) = here.parts()
    damaged = bytes([*blob[:-1], blob[-1] ^ 1])
    ((error, _),) = apply(there, [(p, label, blob, rows), (p, label, damaged, rows)])
    assert isinstance(error, DamagedPart)
    assert there.carrier.group.table("t").range() == []


def test_digests_go_over_every_table_and_are_equal_for_equal_copies(here: Place, there: Place) -> None:
    here.put("t", *range(20))
    here.put("u", *range(5))
    apply(there, here.parts())
    seen = []
    at: tuple[str | None, bytes] | None = (None, b"")
    while at is not None:
        found: list[Any] = []
        here.carry((effects.DIGEST, 0, at[0], at[1], None, lambda *all_, found=found: found.append(all_)))
        error, label, last, count, digest, onward = found[0]
        assert error is None
        seen.append((label, count))
        again: list[Any] = []
        there.carry((effects.DIGEST, 0, label, at[1], last, lambda *all_, again=again: again.append(all_)))
        assert again[0][3:5] == (count, digest)
        at = onward
    assert [(label.partition("@")[0], count) for label, count in seen] == [("t", 20), ("u", 5)]


def test_a_digest_of_no_table_is_an_error_and_no_crash(tmp_path: Path, here: Place) -> None:
    mine = Table("mine", partitioned=False, local_content=True)
    alone = place(tmp_path / "alone", (mine,), {"mine": FIRST})
    for one, name in ((alone, None), (here, "t@00"), (here, "t")):
        found: list[Any] = []
        one.carry((effects.DIGEST, 0, name, b"", None, lambda *all_, found=found: found.append(all_)))
        assert isinstance(found[0][0], UnknownTable)
    alone.store.close()


@pytest.mark.parametrize("heir", [None, PEER])
def test_a_transaction_that_wrote_nothing_ends(here: Place, heir: bytes | None) -> None:
    serving(here, heir)
    ended: list[Any] = []
    here.carrier.transact(0, lambda t: t.get("t", (1,)), (), lambda *how: ended.append(how))
    here.run()
    assert ended == [(2 if heir else 1, None, None)]


def test_a_transaction_that_wrote_waits_for_the_heir(here: Place) -> None:
    serving(here, PEER)
    ended: list[Any] = []
    here.carrier.transact(0, lambda t: t.put("t", (1,), 1), (), lambda *how: ended.append(how))
    here.run()
    assert ended == []
    assert here.state.waiting == 1
    # And so does one behind it that has seen what it wrote.
    here.carrier.transact(0, lambda t: t.get("t", (1,)), (), lambda *how: ended.append(how))
    here.run()
    assert ended == []
    assert here.state.waiting == 2


def test_a_transaction_that_raises_ends_with_what_it_raised(here: Place) -> None:
    serving(here, PEER)
    ended: list[Any] = []

    def fails(transaction: Any) -> None:
        transaction.put("t", (1,), 1)
        raise LookupError("no")

    here.carrier.transact(0, fails, (), lambda *how: ended.append(how))
    here.run()
    ((copies, error, value),) = ended
    assert (copies, type(error), value) == (0, LookupError, None)
    assert here.state.parts[0].writing == 0
    assert here.carrier.group.table("t").range() == []


def test_of_several_transactions_each_ends_in_its_own_way(here: Place) -> None:
    serving(here, PEER)
    ended: dict[str, Any] = {}

    def fails(transaction: Any) -> None:
        transaction.put("t", (1,), 2)
        raise LookupError("no")

    def told(name: str) -> Any:
        return lambda copies, error, value: ended.setdefault(name, (copies, type(error), value))

    calls: list[Any] = [
        (lambda t: t.put("t", (1,), 1), ()),
        (fails, ()),
        (lambda t, key: t.get("t", key), ((1,),)),
    ]
    here.carrier.transact_all(0, calls, [told("puts"), told("fails"), told("looks")])
    here.run()
    assert ended == {"fails": (0, LookupError, None)}
    assert here.state.waiting == 1  # what was looked at is settled with what was written
    here.carrier.close()
    here.run()
    assert ended["puts"] == (0, ClaimLost, None)
    assert ended["looks"] == (0, ClaimLost, 1)
    assert here.state.parts[0].writing == 0


def test_a_transaction_waits_for_the_heir_whatever_one_behind_it_wrote_that_no_other_node_has(
    tmp_path: Path,
) -> None:
    """One of them is too large, so each is committed by itself; the last one's commit is told to nobody."""
    here = place(tmp_path / "here", (table("t"), Table("mine", partitioned=False, local_content=True)))
    serving(here, PEER)
    ended: dict[str, Any] = {}

    def told(name: str) -> Any:
        return lambda copies, error, value: ended.setdefault(name, (copies, type(error)))

    calls: list[Any] = [
        (lambda t: t.put("t", (1,), 1), ()),
        (lambda t: [t.put("t", (2, n), b"x" * 1_000_000) for n in range(20)], ()),
        (lambda t: t.put("mine", (1,), 1), ()),
    ]
    here.carrier.transact_all(0, calls, [told("puts"), told("too large"), told("mine")])
    here.run()
    assert ended == {"too large": (0, MapFull)}
    assert here.state.waiting == 1
    here.store.close()


def test_several_transactions_that_only_look_or_fail_leave_nothing_behind(here: Place) -> None:
    serving(here, None)
    ended: list[Any] = []

    def fails(transaction: Any) -> None:
        raise LookupError("no")

    looks = (lambda t: t.get("t", (1,)), ())
    here.carrier.transact_all(0, [looks, (fails, ())], [lambda *how: ended.append(how)] * 2)
    here.run()
    here.carrier.transact_all(0, [(fails, ())] * 2, [lambda *how: ended.append(how)] * 2)
    here.run()
    assert sorted((copies, type(error).__name__) for copies, error, _ in ended) == [
        (0, "LookupError"),
        (0, "LookupError"),
        (0, "LookupError"),
        (1, "NoneType"),
    ]
    assert (here.state.parts[0].writing, here.state.waiting) == (0, 0)


def test_writes_that_were_encoded_are_durable_before_they_are_settled(here: Place) -> None:
    serving(here)
    durable: list[Any] = []
    settled: list[Any] = []
    writes: Encoded = here.carrier.group.encoded()
    writes.add([(PUT, here.carrier.group.table("t").id, (1,), 1)])
    here.carrier.write_encoded(0, writes, lambda *how: durable.append(how), lambda *how: settled.append(how))
    assert durable == settled == []
    here.run()
    assert durable == settled == [(1, None)]
    assert here.state.parts[0].writing == 0


def test_where_it_is_not_served_nothing_is_written(here: Place) -> None:
    for write in (
        lambda: here.carrier.write(0, [(PUT, here.carrier.group.table("t").id, (1,), 1)], lambda *_: None),
        lambda: here.carrier.write_encoded(0, here.carrier.group.encoded(), lambda *_: None, None),
        lambda: here.carrier.transact(0, lambda t: t.put("t", (1,), 1), (), lambda *_: None),
    ):
        with pytest.raises(ClaimLost, match="ask who is primary"):
            write()
    here.run()
    assert here.state.parts[0].writing == 0
    assert here.carrier.group.table("t").range() == []


def test_a_void_copy_is_emptied_in_steps(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication.carrier.CLEAR_ROWS", 10)
    here.put("t", *range(25))
    steps: list[Any] = []

    def cleared(error: Exception | None, left: bool) -> None:
        steps.append((error, left))
        if left:
            here.state.out.append((effects.CLEAR, 0, cleared))

    here.carry((effects.CLEAR, 0, cleared))
    assert steps[-1] == (None, False)
    assert len(steps) > 2
    assert here.carrier.group.table("t").range() == []


def test_effects_that_come_while_effects_are_carried_out_come_after_them(here: Place) -> None:
    order: list[int] = []

    def first(*_: Any) -> None:
        here.state.out.append((effects.DONE, lambda *_: order.append(3), 1, None))
        here.carrier.drain()
        order.append(1)

    here.carry((effects.DONE, first, 1, None), (effects.DONE, lambda *_: order.append(2), 1, None))
    assert order == [1, 2, 3]


def test_closed_it_tells_whoever_waits_whatever_was_under_way(here: Place) -> None:
    serving(here, PEER)
    ended: list[Any] = []
    for _ in range(2):
        here.carrier.transact(0, lambda t: t.put("t", (1,), 1), (), lambda *how: ended.append(how))
        if not here.state.waiting:
            here.run()  # the first waits for the heir, the second for the disk
    here.state.parts[0].move_to = PEER
    here.state.parts[0].move_done = lambda *how: ended.append(how)
    here.carrier.close()
    here.run()
    assert sorted(type(how[1]).__name__ for how in ended) == ["ClaimLost", "ClaimLost", "NoMove"]
    assert any(isinstance(how[1], NoMove) for how in ended)
    assert here.state.waiting == 0
