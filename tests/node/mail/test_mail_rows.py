"""Batches as rows of a real store, and what is read from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.mail.reconcile import Reconcile
from node.mail.rows import MailTables
from node.mail.state import Batch, Telling
from node.mail.tables import MAIL
from store import keys
from store.store import Store
from store.writes import PUT
from tests.node.mail.core import ALICE, BOB, STREAM, Core, partition_of

KEY = (0, BOB, ALICE, STREAM)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", (MAIL,), committer="inline") as store:
        yield store


def tables_of(store: Store, since: int = 0, limit: int = 10) -> MailTables:
    return MailTables(store.group("mail"), partition_of, lambda partition: since, limit)


def write(store: Store, *writes: Any) -> int:
    group = store.group("mail")
    ids = {table.name: table.id for table in group.tables}
    results: list[Any] = []
    group.submit([(write[0], ids[write[1]], *write[2:]) for write in writes], results.append)
    store.deliver_results()
    assert results[0].error is None, results
    return group.sequence


def read(store: Store, fn: Any) -> Any:
    with store.group("mail").snapshot() as reader:
        return fn(reader)


def put_messages(store: Store, count: int) -> int:
    return write(store, *((PUT, "message", (*KEY, n), [5, b"1234"]) for n in range(1, count + 1)))


def test_a_count_that_was_always_kept_is_believed(store: Store) -> None:
    put_messages(store, 3)
    write(store, (PUT, "mailbox", (0, BOB), [7, 70]))
    assert read(store, tables_of(store).load_box(BOB)) == [7, 70]
    assert read(store, MailTables(store.group("mail"), partition_of).load_box(BOB)) == [7, 70]


def test_a_count_of_an_earlier_time_is_made_anew(store: Store) -> None:
    put_messages(store, 3)
    since = write(store, (PUT, "mailbox", (0, BOB), [7, 70]))
    tables = tables_of(store, since)
    assert read(store, tables.load_box(BOB)) == (3, 12)
    assert read(store, tables.load((BOB, ALICE, STREAM))) == (None, 3, (3, 12))
    write(store, (PUT, "mailbox", (0, BOB), [2, 8]))
    assert read(store, tables.load_box(BOB)) == [2, 8], "it is kept from here on"


def test_a_count_that_is_missing_is_made_anew(store: Store) -> None:
    since = put_messages(store, 3)
    assert read(store, tables_of(store, since).load_box(BOB)) == (3, 12)
    assert read(store, tables_of(store, since).load_box(4)) is None


def test_no_more_is_counted_than_one_beyond_the_limit(store: Store) -> None:
    since = put_messages(store, 30)
    assert read(store, tables_of(store, since).load_box(BOB)) == (11, 44)


def test_a_batch_is_written_whole(store: Store) -> None:
    core = Core()
    from node.mail import acking, effects, numbering

    tables = tables_of(store)
    pair = core.pair()
    numbering.send(core.state, ALICE, BOB, STREAM, 1, 1, b"x")
    pair.untold = True
    from node.mail import writebehind

    writebehind.mark(core.state, pair)
    write(store, (PUT, "untold", KEY, []))
    batch = core.commit()
    results: list[Any] = []
    store.group("mail").submit(tables.writes(batch), results.append)
    store.deliver_results()
    group = store.group("mail")
    assert group.table("message").get((*KEY, 1)) == [core.state.now - 1_000, b"x"]
    assert group.table("pair").get(KEY) == pair.row()
    assert group.table("mailbox").get((0, BOB)) == [1, 1]
    assert group.table("untold").get(KEY) is None
    acking.ack(core.state, BOB, ALICE, STREAM, 1, 1)
    (question,) = core.asked(effects.FIND)
    acking.found(core.state, pair, 1, 1, question[4], read(store, tables.sizes(pair, 1, 1)))
    core.no_receipts()
    store.group("mail").submit(tables.writes(core.commit()), results.append)
    store.deliver_results()
    assert group.table("message").get((*KEY, 1)) is None
    assert group.table("mailbox").get((0, BOB)) is None
    assert group.table("receipt").get((1, ALICE, BOB, STREAM)) == [[1, 1], [], 0]


def test_a_purge_takes_the_pair_its_receipts_and_its_note(store: Store) -> None:
    owed = (1, ALICE, BOB, STREAM)
    write(
        store,
        (PUT, "pair", KEY, [1, [1, 1], [], 0, 0]),
        (PUT, "receipt", owed, [[1, 1], [], 0]),
        (PUT, "untold", KEY, []),
    )
    batch = Batch(0)
    batch.purged.append(((BOB, ALICE, STREAM), 0))
    results: list[Any] = []
    group = store.group("mail")
    group.submit(tables_of(store).writes(batch), results.append)
    store.deliver_results()
    assert [group.table(name).get(key) for name, key in (("pair", KEY), ("receipt", owed), ("untold", KEY))] == [
        None, None, None,
    ]  # fmt: skip


def test_a_purge_leaves_receipts_of_a_partition_that_is_another_nodes(store: Store) -> None:
    owed = (1, ALICE, BOB, STREAM)
    write(
        store,
        (PUT, "pair", KEY, [1, [1, 1], [], 0, 0]),
        (PUT, "receipt", owed, [[1, 1], [], 0]),
        (PUT, "telling", KEY, []),
    )
    batch = Batch(0)
    batch.purged.append(((BOB, ALICE, STREAM), 0))
    batch.served = {0}
    tables = tables_of(store)
    writes = tables.writes(batch)
    assert {keys.decode(key)[0] if isinstance(key, bytes) else key[0] for _, _, key, *_ in writes} == {0}
    results: list[Any] = []
    group = store.group("mail")
    group.submit(writes, results.append)
    store.deliver_results()
    assert group.table("pair").get(KEY) is None
    assert group.table("telling").get(KEY) is None
    assert group.table("receipt").get(owed) is not None


def test_marks_are_written_and_deleted_with_a_batch(store: Store) -> None:
    tables = tables_of(store)
    group = store.group("mail")
    telling = Telling(BOB, ALICE, STREAM, 0, 0)
    for kept in (True, False):
        batch = Batch(0)
        batch.marks.append((telling, kept))
        results: list[Any] = []
        group.submit(tables.writes(batch), results.append)
        store.deliver_results()
        assert (group.table("telling").get(KEY) is not None) == kept


def test_notes_are_found_a_chunk_at_a_time_in_their_partition(store: Store) -> None:
    keys = [(0, BOB, sender, STREAM) for sender in (5, 7, 9)]
    write(store, *((PUT, "untold", key, []) for key in [*keys, (1, ALICE, BOB, STREAM)]))
    tables = tables_of(store)
    found, after, marked = read(store, tables.untold_in(0, None, 2))
    assert (found, marked) == ([(BOB, 5, STREAM), (BOB, 7, STREAM)], set())
    assert read(store, tables.untold_in(0, after, 2)) == ([(BOB, 9, STREAM)], None, set())


def test_marks_of_what_other_nodes_were_not_told_are_found_with_the_notes(store: Store) -> None:
    write(store, *((PUT, "untold", (0, BOB, sender, STREAM), []) for sender in (5, 9)))
    write(store, *((PUT, "telling", (0, BOB, sender, STREAM), []) for sender in (4, 5, 7)))
    tables = tables_of(store)
    found, after, marked = read(store, tables.untold_in(0, None, 3))
    assert [key[1] for key in found] == [4, 5, 7]
    assert {key[1] for key in marked} == {4, 5, 7}
    assert read(store, tables.untold_in(0, after, 3)) == ([(BOB, 9, STREAM)], None, set())


# ---- what is to be told again ------------------------------------------------------------------------------


def answered(store: Store, call: Any, *arguments: Any) -> Any:
    results: list[Any] = []
    call(*arguments, results.append)
    store.deliver_results()
    assert results[0].error is None, results
    return results[0].value


def test_notes_of_receipts_are_read_a_chunk_at_a_time_of_all_partitions(store: Store) -> None:
    rows: list[Any] = [(p, BOB, sender, STREAM) for p, sender in ((0, 5), (1, 4), (1, 7))]
    write(store, *((PUT, "retell", key, []) for key in rows))
    tables = tables_of(store)
    found, after = answered(store, tables.read_notes, None, 2)
    assert [key for key, _ in found] == rows[:2]
    found, after = answered(store, tables.read_notes, after, 2)
    assert ([key for key, _ in found], after) == (rows[2:], None)


def test_a_note_that_was_made_since_stays(store: Store) -> None:
    keys: list[Any] = [(0, BOB, sender, STREAM) for sender in (5, 7)]
    write(store, *((PUT, "retell", key, []) for key in keys))
    tables = tables_of(store)
    found, _ = answered(store, tables.read_notes, None, 10)
    write(store, (PUT, "retell", keys[0], []))
    answered(store, tables.take_notes_off, found)
    assert [key for key, _ in answered(store, tables.read_notes, None, 10)[0]] == keys[:1]


def test_notes_of_a_former_life_are_new(store: Store) -> None:
    assert tables_of(store).noted == 0
    write(store, (PUT, "retell", KEY, []))
    tables = tables_of(store)
    assert tables.noted == 1
    reconcile = store.group("mail").declaration.reconcile
    assert isinstance(reconcile, Reconcile)
    reconcile.noted += 1
    assert tables.noted == 2
    reconcile.noted -= 1
