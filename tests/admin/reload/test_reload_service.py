"""The whole: inspected elsewhere, swapped between batches, recorded, watched, undone by itself."""

import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from admin.reload.errors import (
    HubGone,
    HubTooBusy,
    NothingToReload,
    NothingToRollBack,
    NoWayBack,
    ReloadBusy,
    ReloadRefused,
    SourcesMoved,
)
from admin.reload.health import PICTURES
from admin.reload.history import CUT_OFF
from admin.reload.service import ITSELF
from node.hub.errors import HubFull
from store.errors import StoreFatal
from tests.admin.reload.reloaded import Node, node_of
from tests.admin.reload.world import World


def _started(world: World, old: str = "def f(): return 1") -> Any:
    world.write("one", old)
    world.start()
    return world.module("one")


async def test_from_files_to_the_running_node_and_back(world: World, folder: Path) -> None:
    module = _started(world)
    async with node_of(world, folder) as node:
        with pytest.raises(NothingToReload):
            await node.reload.apply("ann")
        with pytest.raises(NothingToRollBack):
            await node.reload.rollback("ann")
        runs = node.reload.statistics()["version"]
        world.write("one", "def f(): return 2")
        plan = (await node.reload.plan()).told()
        assert plan["can_be_applied"]
        assert [one["changed"] for one in plan["modules"]] == [["f"]]
        assert (module.f(), node.batches) == (1, 0)
        done = await node.reload.apply("ann", only=plan["id"])
        assert (module.f(), node.batches) == (2, 1)
        assert node.reload.statistics()["version"] == plan["id"] == done["id"] != runs
        assert node.reload.versions()[module.__name__] == plan["modules"][0]["new"]
        back = await node.reload.rollback("bob")
        assert (module.f(), back["version"], node.reload.statistics()["version"]) == (1, runs, runs)
        entry = node.reload.history()[-1]
        assert (entry["who"], entry["rolled_back_by"], entry["state"]) == ("ann", "bob", "rolled_back")
        figures = node.reload.statistics()
        assert (figures["applied"], figures["rolled_back"], figures["undone"]) == (1, 1, 0)


async def test_what_is_refused_is_recorded_and_touches_nothing(world: World, folder: Path) -> None:
    module = _started(world)
    async with node_of(world, folder) as node:
        world.write("one", "def f(: return 2")
        with pytest.raises(ReloadRefused, match=r"nothing was touched.*doesn't compile"):
            await node.reload.apply("ann")
        assert (module.f(), node.batches) == (1, 0)
        assert [one["state"] for one in node.reload.history()] == ["refused"]
        assert node.reload.statistics()["refused"] == 1


async def test_files_that_changed_since_the_plan(world: World, folder: Path) -> None:
    module = _started(world)
    async with node_of(world, folder) as node:
        world.write("one", "def f(): return 2")
        planned = (await node.reload.plan()).id
        world.write("one", "def f(): return 3")
        with pytest.raises(SourcesMoved):
            await node.reload.apply("ann", only=planned)
        assert module.f() == 1


async def test_one_at_a_time(world: World, folder: Path) -> None:
    _started(world)
    async with node_of(world, folder) as node, trio.open_nursery() as nursery:
        world.write("one", "def f(): return 2")
        nursery.start_soon(node.reload.apply, "ann")
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(ReloadBusy):
            await node.reload.plan()


async def test_a_wheel(world: World, folder: Path) -> None:
    module = _started(world)
    wheel = folder.parent / "new.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(f"{world.package}/__init__.py", '"""A sample."""')
        file.writestr(f"{world.package}/one.py", f"from {world.package}.more import g\ndef f(): return g()")
        file.writestr(f"{world.package}/more.py", "def g(): return 5")
    async with node_of(world, folder) as node:
        await node.reload.apply("ann", wheel)
        assert module.f() == 5
        back = (await node.reload.plan()).told()
        assert back["modules"][0]["changed"] == ["f"], "the files on disk are still the old ones"
        assert back["notes"] == [f"stays in memory until the next start: {world.package}.more"]
        await node.reload.apply("ann")
        assert module.f() == 1


async def test_a_change_by_which_errors_come_is_undone_by_itself(world: World, folder: Path) -> None:
    module = _started(world)
    async with node_of(world, folder) as node:
        node.goes_on(at_s=60, events=6_000)
        world.write("one", "def f(): return 2")
        number = (await node.reload.apply("ann"))["reload"]
        assert (module.f(), node.state(number)) == (2, "watched")
        node.goes_on(at_s=61, events=6_100, errors=50)
        await node.until(lambda: node.state(number) == "rolled_back")
        assert module.f() == 1
        entry = node.reload.history()[-1]
        assert entry["rolled_back_by"] == ITSELF
        assert entry["cause"].startswith("errors: 50 in 100 events")
        assert node.reload.statistics()["undone"] == 1


async def test_a_change_that_does_no_harm_is_kept(world: World, folder: Path) -> None:
    module = _started(world)
    async with node_of(world, folder) as node:
        world.write("one", "def f(): return 2")
        number = (await node.reload.apply("ann"))["reload"]
        node.goes_on(at_s=11, events=100)
        await node.until(lambda: node.state(number) == "kept")
        node.goes_on(errors=100)
        await trio.sleep(0.02)
        assert (module.f(), node.state(number)) == (2, "kept")


async def test_state_without_a_way_back_is_not_undone_by_itself(world: World, folder: Path) -> None:
    module = _started(world, "class C:\n    def __init__(self): self.a = 1")
    one = module.C()
    async with node_of(world, folder) as node:
        world.write(
            "one",
            "class C:\n    def __init__(self): self.a = self.b = 1\n    def code_change(self): self.b = 1",
        )
        number = (await node.reload.apply("ann"))["reload"]
        assert one.b == 1
        node.goes_on(events=100, errors=50)
        await node.until(lambda: node.state(number) == "kept")
        assert "code_change_back" in node.reload.history()[-1]["remedy"]
        await node.until(lambda: not node.reload._swapping.locked())
        with pytest.raises(NoWayBack):
            await node.reload.rollback("ann")
        assert one.b == 1


async def test_another_reload_while_one_is_watched_ends_no_watch(world: World, folder: Path) -> None:
    """Both are compared with the time before the first, and both are taken back: either may be to blame."""
    module = _started(world)
    async with node_of(world, folder) as node:
        node.goes_on(at_s=60, events=6_000)
        numbers = []
        for n in (2, 3):
            world.write("one", f"def f(): return {n}")
            numbers.append((await node.reload.apply("ann"))["reload"])
        assert [node.state(number) for number in numbers] == ["watched", "watched"]
        assert node.reload.statistics()["watching"] == 2
        node.goes_on(at_s=61, events=6_100, errors=50)
        await node.until(lambda: [node.state(one) for one in numbers] == ["rolled_back"] * 2)
        assert module.f() == 1
        assert (node.reload.statistics()["undone"], node.reload.statistics()["in_effect"]) == (2, 0)


async def test_what_came_by_the_first_is_not_what_the_second_is_compared_with_alone(
    world: World, folder: Path
) -> None:
    module = _started(world)
    async with node_of(world, folder) as node:
        node.goes_on(at_s=60, events=6_000)
        world.write("one", "def f(): return 2")
        first = (await node.reload.apply("ann"))["reload"]
        node.goes_on(at_s=61, events=6_100, errors=4)  # too few to tell
        await node.until(lambda: node.reload._pulses[-1].errors == 4)
        world.write("one", "def f(): return 3")
        second = (await node.reload.apply("ann"))["reload"]
        node.goes_on(at_s=62, events=6_200, errors=8)  # since the first: enough
        await node.until(lambda: node.state(first) == node.state(second) == "rolled_back")
        assert module.f() == 1


async def test_each_is_kept_when_its_own_time_is_over(world: World, folder: Path) -> None:
    module = _started(world)
    async with node_of(world, folder) as node:
        numbers = []
        for n in (2, 3):
            world.write("one", f"def f(): return {n}")
            numbers.append((await node.reload.apply("ann", watch_s=10.0 * n))["reload"])
        node.goes_on(at_s=25, events=2_500)
        await node.until(lambda: [node.state(one) for one in numbers] == ["kept", "watched"])
        node.goes_on(at_s=26, events=2_600, errors=500)
        await node.until(lambda: node.state(numbers[1]) == "rolled_back")
        assert (module.f(), node.state(numbers[0])) == (2, "kept")


async def test_what_follows_unwatched_is_in_the_way_of_none(world: World, folder: Path) -> None:
    module = _started(world)
    async with node_of(world, folder) as node:
        for n, watch_s in ((2, 10.0), (3, 0.0)):
            world.write("one", f"def f(): return {n}")
            await node.reload.apply("ann", watch_s=watch_s)
        node.goes_on(events=100, errors=50)
        await node.until(lambda: module.f() == 1)


async def test_a_failure_takes_back_one_and_the_next_failure_the_one_before(
    world: World, folder: Path
) -> None:
    module = _started(world)
    async with node_of(world, folder) as node:
        for n in (2, 3):
            world.write("one", f"def f(): return {n}")
            await node.reload.apply("ann")
        assert node.reload.rescue(ValueError())
        assert module.f() == 2
        assert node.reload.rescue(ValueError())
        assert module.f() == 1
        assert not node.reload.rescue(ValueError())


async def test_what_fails_in_the_very_batch_after_the_swap_is_rescued(world: World, folder: Path) -> None:
    module = _started(world)
    async with node_of(world, folder) as node:
        world.write("one", "def f(): return 2")

        def fail_next() -> None:
            node.before_batch = lambda: None
            node.soon.append(lambda: rescued.append(node.reload.rescue(ValueError())))

        rescued: list[bool] = []
        node.before_batch = fail_next
        done = await node.reload.apply("ann")
        assert (rescued, module.f()) == ([True], 1)
        assert done["state"] == node.state(done["reload"]) == "rolled_back"


async def test_a_process_that_was_killed_in_between(world: World, folder: Path) -> None:
    """Nothing of a reload is on disk but its history: the next start takes the files, and says so."""
    _started(world)
    killed = Node(world, folder)
    await killed.reload.open()
    world.write("one", "def f(): return 2")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(killed.reload.apply, "ann")
        await killed.until(lambda: bool(killed.soon))
        as_it_was_left = (folder / "history.jsonl").read_text()
        killed.soon.popleft()()  # so that the test can end
    (folder / "history.jsonl").write_text(as_it_was_left)
    async with node_of(world, folder) as again:
        assert [(one["state"], one["cause"]) for one in again.reload.history()] == [("cut_off", CUT_OFF)]


async def test_a_rollback_does_not_wait_for_an_inspection(world: World, folder: Path) -> None:
    module = _started(world)
    async with node_of(world, folder) as node:
        world.write("one", "def f(): return 2")
        await node.reload.apply("ann")
        world.write("one", "def f(): return 3")
        inspected = trio.Event()

        async def apply() -> None:
            with pytest.raises(SourcesMoved, match="rolled back"):
                await node.reload.apply("bob")
            inspected.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(apply)
            await node.until(node.reload._inspecting.locked)
            await node.reload.rollback("ann")
            assert not inspected.is_set()
        assert module.f() == 1


async def test_a_hub_that_takes_nothing_more(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = _started(world)

    def full(function: Callable[[], None]) -> None:
        raise HubFull(1)

    async with node_of(world, folder) as node:
        monkeypatch.setattr(node.reload, "_soon", full)
        world.write("one", "def f(): return 2")
        with pytest.raises(HubTooBusy):
            await node.reload.apply("ann")
        assert (module.f(), node.reload.history()[-1]["state"]) == (1, "failed")


async def test_the_next_node_of_a_process_knows_what_code_it_runs(world: World, folder: Path) -> None:
    """So it is after an upgrade that failed late: the process, its code and the way back are the same."""
    module = _started(world)
    async with node_of(world, folder) as node:
        node.goes_on(at_s=1, events=100_000, errors=100)
        await node.until(lambda: bool(node.reload._pulses))
        world.write("one", "def f(): return 2")
        number = (await node.reload.apply("ann"))["reload"]
        reload = node.reload
        node.stopped.set()
    async with node_of(world, folder, reload) as again:
        (watch,) = reload._watches
        again.goes_on(at_s=2, events=100, errors=50)
        await again.until(lambda: len(watch.after) == PICTURES)
        assert (module.f(), again.state(number)) == (2, "watched"), (
            "it isn't compared with another node's figures"
        )
        with pytest.raises(NothingToReload):
            await reload.apply("ann")
        world.write("one", "def f(): return 3")
        assert (await reload.plan()).came_from == reload.statistics()["version"]
        assert reload.rescue(ValueError())
        assert (module.f(), again.state(number)) == (1, "rolled_back")
        await reload.apply("ann")
        await reload.rollback("ann")
        assert module.f() == 1
        number = (await reload.apply("ann"))["reload"]
        again.goes_on(at_s=20)
        await again.until(lambda: again.state(number) == "kept")


async def test_what_can_not_be_brought_back_makes_no_failure_worse(world: World, folder: Path) -> None:
    """Neither beside the hub, where a fault is harmless, nor in it."""
    module = _started(world, "class C:\n    def __init__(self): self.a = 1")
    one = module.C()
    async with node_of(world, folder) as node:
        world.write(
            "one",
            """
            class C:
                def __init__(self): self.a = self.b = 1
                def code_change(self): self.b = 1
                def code_change_back(self): raise KeyError("b")
            """,
        )
        number = (await node.reload.apply("ann"))["reload"]
        assert not node.reload.rescue_beside(ValueError("of a task"))
        assert (one.b, node.state(number), node.reload.statistics()["watching"]) == (1, "kept", 0)
        entry = node.reload.history()[-1]
        assert entry["cause"] == "ValueError ended a task beside the hub"
        assert "KeyError" in entry["remedy"]
        assert not node.reload.rescue(ValueError("of a pass"))
        assert node.reload.statistics()["in_effect"] == 1


async def test_a_hub_that_ends_is_not_waited_for(world: World, folder: Path) -> None:
    """Shielded as a change of code is, it could be neither ended nor cancelled: the process would hang for ever."""
    module = _started(world)
    async with node_of(world, folder) as node:
        world.write("one", "def f(): return 2")
        await node.reload.apply("ann")
        world.write("one", "def f(): return 3")

        async def refused(ask: Callable[[str], Awaitable[object]]) -> None:
            with pytest.raises(HubGone):
                await ask("ann")

        node.serves = False  # it makes no pass any more, and isn't known to have ended
        with trio.fail_after(30):
            async with trio.open_nursery() as asking:
                asking.start_soon(refused, node.reload.apply)
                await node.until(lambda: bool(node.soon))
                node.stopped.set()
            await refused(node.reload.apply)
            await refused(node.reload.rollback)
        assert (module.f(), [one["state"] for one in node.reload.history()]) == (
            2,
            ["watched", "failed", "failed"],
        )
        node.goes_on(at_s=5, events=100, errors=50)
        (watch,) = node.reload._watches
        await node.until(lambda: len(watch.after) == PICTURES and watch.after[0].errors == 50)
        assert node.reload.history()[0]["state"] == "watched", "the next start says what became of it"


async def test_a_pass_that_fails_by_a_watched_reload_is_rescued_once(world: World, folder: Path) -> None:
    module = _started(world)
    async with node_of(world, folder) as node:
        assert not node.reload.rescue(ValueError())
        world.write("one", "def f(): return 2")
        number = (await node.reload.apply("ann"))["reload"]
        assert not node.reload.rescue(StoreFatal("the disk is gone")), "the node must end"
        assert module.f() == 2
        assert node.reload.rescue(ValueError("the text may be of a phone"))
        assert module.f() == 1
        assert not node.reload.rescue(ValueError())
        await node.until(lambda: node.state(number) == "rolled_back")
        entry = node.reload.history()[-1]
        assert (entry["rolled_back_by"], entry["cause"]) == (ITSELF, "ValueError ended a pass of the hub")
