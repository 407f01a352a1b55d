"""Reload after reload, memory stays as it is: what can't be taken back any more is gone, and nothing else piles up."""

from __future__ import annotations

import gc
import linecache
import sys
import tracemalloc
import weakref
from collections import Counter
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from admin.reload import proposing
from admin.reload.draft import Draft
from admin.reload.inspector import inspect
from admin.reload.service import UNDOS_MAX
from admin.reload.sources import read_sources
from tests.admin.reload.reloaded import Node, node_of
from tests.admin.reload.world import World, beside

RELOADS = 50
FULL = UNDOS_MAX + 4
"""After so many, each reload that is kept pushes an older one out."""
TEXT_BYTES = 20_000
"""In every version another text of this size, so that one that stays is seen."""
ENTRY_BYTES_MAX = 3_000
"""Of the history for one reload, which remembers a thousand."""


def _version(number: int) -> str:
    # The first function changes, the second moves, the third and its constant are made anew.
    return f"""
    def answer(value, plus={number}):
        {"'another line'" if number % 2 else "pass"}
        return value, plus, {f"{number:06}" * (TEXT_BYTES // 6)!r}

    def moves():
        return [one for one in range(3)]

    TEXT_{number} = {number}

    def made_{number}():
        return TEXT_{number}
    """


@pytest.fixture
def inspected_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process: another one's memory isn't looked at, and starting it fifty times takes long."""

    async def inspect_here(request: dict[str, Any]) -> Draft:
        return inspect(request, beside)

    monkeypatch.setattr(proposing, "inspect_elsewhere", inspect_here)


def _counted(world: World) -> Counter[str]:
    """What a reload makes: objects of ours by type, functions and modules of the program."""
    gc.collect()
    found: Counter[str] = Counter()
    for one in gc.get_objects():
        kind = type(one)
        if str(kind.__module__).startswith("admin.reload."):
            found[kind.__qualname__] += 1
        elif kind in (FunctionType, ModuleType):
            name = one.__module__ if kind is FunctionType else one.__name__
            found[kind.__qualname__] += str(name).startswith(world.package)
    return found


def _modules(world: World) -> set[str]:
    return {name for name in sys.modules if name.startswith(world.package)}


def _lines(world: World) -> int:
    """Files whose lines Python remembers for tracebacks."""
    return sum(str(name).startswith(str(world.root)) for name in linecache.cache)


async def _reload(node: Node, number: int) -> None:
    node.world.write("one", _version(number))
    done = await node.reload.apply("ann", watch_s=0)
    assert done["modules"][0]["changed"] == ["answer"]


async def test_fifty_reloads_leave_what_sixteen_do(world: World, folder: Path, inspected_here: None) -> None:
    world.write("one", _version(0))
    world.start()
    module = world.module("one")
    codes: list[weakref.ref[CodeType]] = []
    async with node_of(world, folder) as node:
        tracemalloc.start()
        try:
            for number in range(1, RELOADS + 1):
                codes.append(weakref.ref(module.answer.__code__))
                await _reload(node, number)
                if number == FULL:
                    counted, modules = _counted(world), _modules(world)
                    lines, allocated = _lines(world), tracemalloc.get_traced_memory()[0]
            assert _counted(world) == counted
            assert _modules(world) == modules
            assert _lines(world) == lines
            grown = tracemalloc.get_traced_memory()[0] - allocated
            assert grown < (RELOADS - FULL) * ENTRY_BYTES_MAX
        finally:
            tracemalloc.stop()
        alive = [one() is not None for one in codes]
        assert alive == [False] * (RELOADS - UNDOS_MAX) + [True] * UNDOS_MAX, "those that can come back"
        latest = weakref.ref(module.answer.__code__)
        for _ in range(UNDOS_MAX):
            await node.reload.rollback("ann")
        gc.collect()
        assert module.answer.__code__ is codes[-UNDOS_MAX]()
        assert latest() is None
        assert [one() is not None for one in codes[-UNDOS_MAX:]] == [True] + [False] * (UNDOS_MAX - 1)


async def test_a_plan_that_is_looked_at_or_refused_leaves_nothing(
    world: World, folder: Path, inspected_here: None
) -> None:
    world.write("one", _version(0))
    world.start()
    async with node_of(world, folder) as node:
        for number in range(1, 12):
            world.write("one", _version(number))
            await node.reload.plan()
            world.write("one", _version(number).replace("def moves", "def moves(:"))
            assert (await node.reload.plan()).refusals
            if number == 1:
                counted = _counted(world)
        assert _counted(world) == counted


def test_a_text_that_is_known_is_not_kept_twice(world: World) -> None:
    world.write("one", _version(1))
    world.write("two", _version(2))
    before = read_sources(world.root, [world.package])
    world.write("two", _version(3))
    after = read_sources(world.root, [world.package], before)
    assert after.modules[f"{world.package}.one"] is before.modules[f"{world.package}.one"]
    two = f"{world.package}.two"
    assert (after.modules[two].text, before.modules[two].text) == (
        (world.root / world.package / "two.py").read_text(),
        _fresh(world, _version(2)),
    )
    assert after == read_sources(world.root, [world.package])


def _fresh(world: World, text: str) -> str:
    world.write("three", text)
    path = world.root / world.package / "three.py"
    written = path.read_text()
    path.unlink()
    return written
