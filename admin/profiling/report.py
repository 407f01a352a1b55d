"""Samples as tables, and as collapsed stacks: a line for each stack, its functions from the outermost on with a `;`
between them, then how often it was seen (https://www.brendangregg.com/flamegraphs.html). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from admin.profiling.places import Places
from admin.profiling.sampling import Key, Samples

TOP_MAX: Final = 200
STACK_BYTES_MAX: Final = 1_048_576
"""Of all collapsed stacks together; the rarest are left out."""
BETWEEN_TASKS: Final = "(no task)"
"""What the loop does between two steps: waiting for input, its own bookkeeping."""

Stack = tuple[str, ...]


def named(samples: Samples, loop: int, places: Places, *, resting: bool = False) -> Counter[Stack]:
    """Stacks by name, the outermost first: thread, task where it is known, functions."""
    found: Counter[Stack] = Counter()
    for counts in (samples.busy, samples.resting) if resting else (samples.busy,):
        for key, count in counts.items():
            found[_stack(key, samples, loop, places)] += count
    return found


def _stack(key: Key, samples: Samples, loop: int, places: Places) -> Stack:
    thread, task, codes = key
    first = [samples.threads.get(thread, "other threads")]
    if thread == loop:
        first.append(f"task {task}" if task is not None else BETWEEN_TASKS)
    return (*map(_word, first), *(_word(places.of(code)) for code in reversed(codes)))


def _word(text: str) -> str:
    """As it may stand in a line of its own format."""
    return "_".join(text.replace(";", ":").split())


def tables(stacks: Counter[Stack], top: int) -> dict[str, list[dict[str, Any]]]:
    """by_self: what functions took themselves; by_whole: with what they called, each counted once in a stack."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for stack, count in stacks.items():
        own[stack[-1]] += count
        for function in set(stack[1:]):  # of threads there is a table
            whole[function] += count
    total = stacks.total() or 1

    def rows(names: Iterable[str]) -> list[dict[str, Any]]:
        return [
            {
                "self_share": round(own[name] / total, 4),
                "whole_share": round(whole[name] / total, 4),
                "samples": own[name],
                "function": name,
            }
            for name in names
        ]

    return {
        "by_self": rows(name for name, _ in own.most_common(top)),
        "by_whole": rows(name for name, _ in whole.most_common(top)),
    }


def threads(samples: Samples) -> list[dict[str, Any]]:
    """How many samples of each thread, and how many of them while it had nothing to do."""
    busy: Counter[int] = Counter()
    resting: Counter[int] = Counter()
    for counts, kept in ((samples.busy, busy), (samples.resting, resting)):
        for (thread, _, _), count in counts.items():
            kept[thread] += count
    seen = sorted(busy.keys() | resting.keys(), key=lambda one: (-busy[one], one))
    by_name: dict[str, dict[str, Any]] = {}
    for thread in seen:
        name = samples.threads.get(thread, "other threads")
        row = by_name.setdefault(name, {"thread": name, "busy": 0, "resting": 0})
        row["busy"] += busy[thread]
        row["resting"] += resting[thread]
    return list(by_name.values())


def collapsed(stacks: Counter[Stack]) -> tuple[list[str], int]:
    """Lines, the most frequent stacks first; and how many samples had to be left out."""
    lines: list[str] = []
    room, left = STACK_BYTES_MAX, 0
    for stack, count in stacks.most_common():
        line = f"{';'.join(stack)} {count}"
        room -= len(line.encode()) + 1
        if room < 0:
            left += count
        else:
            lines.append(line)
    return lines, left


def told(
    samples: Samples, loop: int, *, top: int, resting: bool, with_stacks: bool, places: Places | None = None
) -> dict[str, Any]:
    """All of it as plain data. For a thread: thousands of stacks are named here."""
    stacks = named(samples, loop, places or Places(), resting=resting)
    found: dict[str, Any] = {
        "seconds": round(samples.seconds, 3),
        "samples": samples.taken,
        "missed": samples.missed,
        "not_kept": samples.beyond,
        "cost_share": round(samples.cost_seconds / (samples.seconds or 1), 5),
        "threads": threads(samples),
        **tables(stacks, top),
    }
    if with_stacks:
        found["stacks"], found["left_out"] = collapsed(stacks)
    return found
