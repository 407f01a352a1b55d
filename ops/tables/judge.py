"""What must be there after everything has come to rest, judged from the record of attempts alone.

    lost        what was settled is gone, and nothing that was attempted later is in its place
    ghost       a value that nobody attempted
    torn        of a transaction one table has more than the other
    twice       a transaction was done twice
    shrunk      a merged list has lost an element between two looks at one copy
    excused     not broken: a split let another of its attempts stand in the place of the last one

The last settled value of a key is there, or a later attempted one. During a split both sides serve, and the later
version wins when they merge: there any attempt of the same split may be in its place (docs: what a split does). What
stood on one disk only is not asked for after that disk was replaced by an older one. Additions to merged lists
are never excused by a split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from ops.tables.record import DELETE, REFUSED, Attempt, Key, Record
from ops.tables.schema import GATHERED, LEDGER, LEFT, MARK, MARKS, NOTE, NOTES, RIGHT, SETS, WHOLE

EXCUSED: Final = "excused"
Rows = Mapping[Key, Any]
Contents = Mapping[str, Rows]
"""table → key → value"""


@frozen
class Broken:
    """A promise that was not kept."""

    rule: str
    where: str
    text: str
    attempt: Attempt | None = None

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.text}"


def judge(record: Record, contents: Contents) -> list[Broken]:
    """Everything that is wrong with what is there."""
    found: list[Broken] = []
    for group, table in ((NOTES, NOTE), (MARKS, MARK)):
        rows = contents[table]
        for key, attempts in record.of_group(group):
            found += _judge_newest(record, f"{table} {key}", attempts, rows.get(key))
        found += _strangers(record, group, table, rows)
    for key, attempts in record.of_group(SETS):
        found += _judge_list(record, f"{GATHERED} {key}", attempts, contents[GATHERED].get(key) or [])
    found += _strangers(record, SETS, GATHERED, contents[GATHERED])
    for key, attempts in record.of_group(LEDGER):
        found += _judge_pair(
            record, f"ledger {key}", attempts, contents[LEFT].get(key), contents[RIGHT].get(key)
        )
    return found


def _judge_newest(record: Record, where: str, attempts: Sequence[Attempt], value: Any) -> list[Broken]:
    number = None if value is None else value[0]
    last = max((i for i, attempt in enumerate(attempts) if record.binds(attempt)), default=-1)
    binding = attempts[last] if last >= 0 else None
    permitted = [
        attempt
        for i, attempt in enumerate(attempts)
        if attempt.outcome != REFUSED
        and (i >= last or (binding is not None and binding.window and attempt.window == binding.window))
    ]
    if number is None:
        if binding is None or any(attempt.kind == DELETE for attempt in permitted):
            return []
    elif any(attempt.number == number and attempt.kind != DELETE for attempt in permitted):
        if all(attempt.number != number for attempt in attempts[max(0, last) :]):
            return [Broken(EXCUSED, where, f"it is {number}; answered {binding}", binding)]
        return []
    rule = "lost" if number is None or any(number == attempt.number for attempt in attempts) else "ghost"
    return [Broken(rule, where, f"it is {number}; answered {binding}, {len(attempts)} attempts", binding)]


def _judge_list(
    record: Record, where: str, attempts: Sequence[Attempt], value: Sequence[int]
) -> list[Broken]:
    found = [
        Broken("lost", where, f"{attempt} is missing")
        for attempt in attempts
        if record.binds(attempt) and attempt.number not in value
    ]
    ghosts = set(value) - {attempt.number for attempt in attempts if attempt.outcome != REFUSED}
    return found + [Broken("ghost", where, f"{ghost} was never added") for ghost in sorted(ghosts)]


def _judge_pair(
    record: Record, where: str, attempts: Sequence[Attempt], left: Any, right: Any
) -> list[Broken]:
    found = torn(where, left, right)
    numbers = left[1] if left is not None else []
    if len(set(numbers)) != len(numbers):
        found.append(Broken("twice", where, f"{numbers}"))
    for attempt in attempts:
        strict = attempt.copies >= 2 if record.windows else True
        if record.binds(attempt) and strict and not attempt.window and attempt.number not in numbers:
            found.append(Broken("lost", where, f"{attempt} is not among {numbers}"))
    ghosts = set(numbers) - {attempt.number for attempt in attempts if attempt.outcome != REFUSED}
    return found + [Broken("ghost", where, f"{ghost} was never asked for") for ghost in sorted(ghosts)]


def torn(where: str, left: Any, right: Any) -> list[Broken]:
    """Both tables of a transaction must tell of the same ones, and add up."""
    if left is None and right is None:
        return []
    if left is None or right is None or left[0] + right[0] != WHOLE or left[1] != right[1]:
        return [Broken("torn", where, f"left {left}, right {right}")]
    return []


def shrunk(where: str, before: Sequence[int], now: Sequence[int]) -> list[Broken]:
    """A list that was seen twice in one copy."""
    missing = sorted(set(before) - set(now))
    return [Broken("shrunk", where, f"{missing} are gone")] if missing else []


def _strangers(record: Record, group: str, table: str, rows: Rows) -> list[Broken]:
    return [
        Broken("ghost", f"{table} {key}", "a key that nobody wrote")
        for key in rows
        if (group, key) not in record.by_key
    ]
