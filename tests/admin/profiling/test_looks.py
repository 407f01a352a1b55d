"""Tasks, threads, heap and allocations, as they are in this process."""

import gc
import threading
import tracemalloc

import pytest
import trio
import trio.lowlevel
import trio.testing

from admin.profiling import allocations, heap, waiting
from admin.profiling.places import Places
from admin.profiling.service import Busy, Profiling
from admin.profiling.stepping import Births, Steps


class Thing:
    """Something that there are many of."""


async def parked() -> None:
    await trio.sleep_forever()


async def stepping() -> None:
    while True:
        await trio.lowlevel.checkpoint()


async def test_the_tree_says_what_each_task_waits_for_and_how_old_it_is() -> None:
    clock = [100.0]
    births, steps = Births(lambda: clock[0]), Steps()
    trio.lowlevel.add_instrument(births)
    trio.lowlevel.add_instrument(steps)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(parked)
            nursery.start_soon(stepping)
            await trio.sleep(0.01)
            clock[0] += 5
            rows, beyond = waiting.tasks(trio.lowlevel.current_root_task(), Places(), births, steps.counts)
            nursery.cancel_scope.cancel()
    finally:
        trio.lowlevel.remove_instrument(births)
        trio.lowlevel.remove_instrument(steps)
    assert beyond == 0
    by_name = {row["task"].rpartition(".")[2]: row for row in rows}
    assert by_name["parked"]["waits"] == "sleep_forever"
    assert "test_looks.py" in by_name["parked"]["at"]
    assert by_name["parked"]["at"].endswith(" parked")
    assert by_name["parked"]["age_s"] == 5.0
    assert by_name["parked"]["steps"] == 1
    assert by_name["stepping"]["steps"] > 2
    assert rows[0]["age_s"] is None
    assert any(row["waits"] == "(it looks)" for row in rows)
    assert len(births) == 0


async def test_tasks_that_are_alike_are_one_row_and_others_are_not() -> None:
    steps = Steps()
    trio.lowlevel.add_instrument(steps)
    try:
        async with trio.open_nursery() as nursery:
            for _ in range(16):
                nursery.start_soon(parked)
            nursery.start_soon(stepping)
            nursery.start_soon(stepping, name=f"{__name__}.parked")
            await trio.sleep(0.01)
            rows, _ = waiting.tasks(trio.lowlevel.current_root_task(), Places(), None, steps.counts)
            nursery.cancel_scope.cancel()
    finally:
        trio.lowlevel.remove_instrument(steps)
    shown = [(row["task"].rpartition(".")[2], row["times"], row["waits"]) for row in rows]
    assert shown.count(("parked", 16, "sleep_forever")) == 1
    assert [times for name, times, _ in shown if name in ("parked", "stepping")] == [16, 1, 1]
    assert sum(row["steps"] for row in rows if row["times"] == 16) == 16


async def test_tasks_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "TASKS_MAX", 1)
    rows, beyond = waiting.tasks(trio.lowlevel.current_root_task(), Places())
    assert len(rows) == 1
    assert beyond > 0


async def test_the_heap_is_counted_by_type_and_compared_with_the_last_look() -> None:
    profiling = Profiling()
    try:
        first = await profiling.heap(500, "objects")
        kept = [Thing() for _ in range(3_000)]
        second = await profiling.heap(5, "more")
    finally:
        profiling.close()
    name = f"{Thing.__module__}.Thing"
    assert name not in {row["type"] for row in first["types"]}
    row = next(row for row in second["types"] if row["type"] == name)
    assert (row["objects"], row["more"]) == (len(kept), len(kept))
    assert row["bytes"] >= 3_000 * 16
    assert second["slices"] >= second["objects"] // heap.SLICE
    assert second["hold_ms_max"] > 0
    assert second["collector"]["thresholds"] == list(gc.get_threshold())


async def test_a_type_that_lies_about_its_size_spoils_nothing() -> None:
    class Odd:
        def __sizeof__(self) -> int:
            raise RuntimeError

    kept = [Odd() for _ in range(10)]
    found = await heap.count()
    (name,) = [one for one in found.objects if one.endswith("Odd")]
    assert found.objects[name] == len(kept)
    assert found.bytes[name] == 0


async def test_the_lines_that_keep_memory_are_found() -> None:
    kept: list[bytearray] = []

    async def allocate() -> None:
        await trio.lowlevel.checkpoint()
        kept.extend(bytearray(10_000) for _ in range(20))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(allocate)
        found = allocations.told(await allocations.trace(0.05), 3)
    assert "test_looks.py" in found["lines"][0]["line"]
    assert found["lines"][0]["bytes"] >= 200_000
    assert not found["full"]
    assert not tracemalloc.is_tracing()


async def test_tracing_ends_early_when_it_has_grown_to_its_bound_and_also_when_cancelled() -> None:
    with trio.fail_after(10):
        assert (await allocations.trace(3_600, bytes_max=0)).full
    with trio.move_on_after(0.01):
        await allocations.trace(3_600)
    assert not tracemalloc.is_tracing()


async def test_two_of_a_kind_at_a_time_are_refused_and_a_profile_can_be_ended() -> None:
    profiling = Profiling()
    threads = threading.active_count()
    try:
        async with trio.open_nursery() as nursery:

            async def look() -> None:
                await profiling.profile(3_600, 100, top=1, resting=False, with_stacks=False)

            nursery.start_soon(look)
            await trio.testing.wait_all_tasks_blocked()
            assert profiling.statistics()["looking"] == 1
            with pytest.raises(Busy):
                await look()
            nursery.cancel_scope.cancel()
        assert profiling.statistics()["looking"] == 0
        assert threading.active_count() <= threads + 1  # Trio keeps a thread for a while
    finally:
        profiling.close()
