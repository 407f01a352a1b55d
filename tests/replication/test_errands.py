"""What a core asks of its store is done by a real one, committing inline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from replication.core import effects
from store.errors import DamagedPart, UnknownTable
from store.schema import Table
from tests.replication.place import FIRST, PEER, SECOND, Place, place


def apply(one: Place, parts: Any, rows: Any = ()) -> list[Any]:
    ended: list[Any] = []
    one.carry((effects.APPLY, PEER, parts, rows, False, lambda error, at: ended.append((error, at))))
    return ended


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


def test_a_void_copy_is_emptied_in_steps(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication.errands.CLEAR_ROWS", 10)
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
