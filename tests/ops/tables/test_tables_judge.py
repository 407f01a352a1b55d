"""The judge of a drill: what must be there, what a split or an older directory excuses, and what nothing excuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.tables.judge import judge, shrunk, torn
from ops.tables.record import DELETE, DONE, MERGE, PUT, REFUSED, TRANSFER, UNKNOWN, Record
from ops.tables.schema import GATHERED, LEDGER, LEFT, MARK, NOTE, NOTES, RIGHT, SETS

KEY = (0, 1)


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    record = Record(tmp_path / "record.jsonl")
    yield record
    record.close()


def attempt(
    record: Record, outcome: str = DONE, copies: int = 2, *, kind: str = PUT, group: str = NOTES
) -> int:
    """One that has ended; gives its number."""
    one = record.begin(group, KEY, kind, "settled", 0)
    record.end(one, outcome, copies if outcome == DONE else 0)
    return one.number


def rules(record: Record, **tables: Any) -> list[str]:
    """What is broken if this is there: table → what stands at the key."""
    contents: dict[str, dict[Any, Any]] = {name: {} for name in (NOTE, MARK, GATHERED, LEFT, RIGHT)}
    contents |= {table: {KEY: value} for table, value in tables.items() if value is not None}
    return [broken.rule for broken in judge(record, contents)]


def test_the_last_settled_value_is_there(record: Record) -> None:
    first, last = attempt(record), attempt(record)
    assert rules(record, note=[last, ""]) == []
    assert rules(record, note=[first, ""]) == ["lost"]
    assert rules(record) == ["lost"]
    assert rules(record, note=[99, ""]) == ["ghost"]


def test_or_a_later_attempted_one(record: Record) -> None:
    settled, later = attempt(record), attempt(record, UNKNOWN)
    assert rules(record, note=[settled, ""]) == rules(record, note=[later, ""]) == []


def test_but_not_one_that_was_surely_refused(record: Record) -> None:
    attempt(record)
    assert rules(record, note=[attempt(record, REFUSED), ""]) == ["lost"]


def test_what_was_deleted_stays_deleted(record: Record) -> None:
    before = attempt(record)
    attempt(record, kind=DELETE)
    assert rules(record) == []
    assert rules(record, note=[before, ""]) == ["lost"]


def test_a_split_excuses_another_attempt_of_the_same_split_and_no_earlier_one(record: Record) -> None:
    before = attempt(record)
    record.split()
    one, last = attempt(record, copies=1), attempt(record)
    record.healed()
    assert rules(record, note=[last, ""]) == []
    assert rules(record, note=[one, ""]) == ["excused"]
    assert rules(record, note=[before, ""]) == ["lost"]
    after = attempt(record)
    assert rules(record, note=[after, ""]) == []
    assert rules(record, note=[last, ""]) == ["lost"]


def test_an_older_directory_excuses_what_stood_on_one_disk_only(record: Record) -> None:
    two, one = attempt(record), attempt(record, copies=1)
    assert rules(record, note=[two, ""]) == ["lost"]
    record.roll_back()
    assert rules(record, note=[two, ""]) == rules(record, note=[one, ""]) == []
    assert rules(record) == ["lost"]


def test_additions_are_never_excused_by_a_split(record: Record) -> None:
    record.split()
    numbers = [attempt(record, kind=MERGE, group=SETS, copies=copies) for copies in (1, 2)]
    record.healed()
    assert rules(record, gathered=numbers) == []
    assert rules(record, gathered=numbers[:1]) == ["lost"]
    assert rules(record) == ["lost", "lost"]
    assert rules(record, gathered=[*numbers, 77]) == ["ghost"]


def test_transactions_are_whole_and_none_is_lost_or_done_twice(record: Record) -> None:
    a, b = (attempt(record, kind=TRANSFER, group=LEDGER) for _ in range(2))
    assert rules(record, left=[90, [a, b]], right=[10, [a, b]]) == []
    assert rules(record, left=[90, [a]], right=[10, [a]]) == ["lost"]
    assert rules(record, left=[90, [a, b, b]], right=[10, [a, b, b]]) == ["twice"]
    assert rules(record, left=[90, [a, b, 9]], right=[10, [a, b, 9]]) == ["ghost"]
    assert rules(record, left=[80, [a, b]], right=[10, [a, b]]) == ["torn"]
    assert rules(record, left=[90, [a, b]], right=[10, [a]]) == ["torn"]
    assert rules(record, left=[90, [a, b]]) == ["torn"]


def test_what_two_looks_at_a_copy_show() -> None:
    assert torn("here", None, None) == []
    assert shrunk("here", [1, 2], [1, 2, 3]) == []
    assert [broken.rule for broken in shrunk("here", [1, 2], [2, 3])] == ["shrunk"]


def test_a_key_that_nobody_wrote_is_a_ghost(record: Record) -> None:
    assert rules(record, note=[1, ""]) == ["ghost"]
