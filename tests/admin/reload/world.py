"""A small program of its own that runs in this process, and whose files the test changes: what a reload is tried on."""

import importlib
import itertools
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
import trio

from admin.reload.checking import inspect_elsewhere
from admin.reload.draft import Draft
from admin.reload.inspector import Importing, inspect
from admin.reload.instances import instances_of
from admin.reload.planning import Plan, make_plan
from admin.reload.sources import Sources, read_sources
from admin.reload.survey import request_of, survey_of
from admin.reload.swapping import Applied, swap
from admin.reload.units import Parsed

_COUNT = itertools.count()


class World:
    """`write` files, `start` the program, `write` again, `plan` and `apply`."""

    def __init__(self, folder: Path) -> None:
        self.package = f"sample_{next(_COUNT)}"
        self.root = folder
        (folder / self.package).mkdir()
        self.runs: Sources | None = None
        self.write("__init__", '"""A sample."""')

    def write(self, name: str, text: str) -> None:
        """`PACKAGE` in a text is the package's name."""
        path = self.root / self.package / f"{name}.py"
        path.write_text(dedent(text).replace("PACKAGE", self.package))

    def start(self) -> None:
        for path in sorted((self.root / self.package).glob("*.py")):
            if path.stem != "__init__":
                self.module(path.stem)
        self.runs = read_sources(self.root, [self.package])

    def module(self, name: str) -> ModuleType:
        return importlib.import_module(f"{self.package}.{name}")

    def draft(self) -> tuple[Draft, Sources]:
        """What the inspecting process would say; here its imports don't take the running modules' places."""
        assert self.runs is not None
        there = read_sources(self.root, [self.package])
        loaded = [name for name in self.runs.modules if name in sys.modules]
        survey = survey_of(self.runs, there, loaded)
        if survey.refusals:
            return Draft(refusals=survey.refusals), there
        return inspect(request_of(survey, self.runs, there, loaded), beside), there

    def plan(self, suspended: Mapping[Any, int] | None = None) -> Plan:
        return self._plan(*self.draft(), suspended)

    def gone(self, there: Sources) -> list[str]:
        assert self.runs is not None
        return [name for name in self.runs.modules if name not in there.modules]

    def plan_elsewhere(self) -> Plan:
        """Inspected in a process of its own, as a node does it: modules may import what is new in others."""
        assert self.runs is not None
        there = read_sources(self.root, [self.package])
        loaded = [name for name in self.runs.modules if name in sys.modules]
        request = request_of(survey_of(self.runs, there, loaded), self.runs, there, loaded)
        return self._plan(trio.run(inspect_elsewhere, request), there, None)

    def _plan(self, draft: Draft, there: Sources, suspended: Mapping[Any, int] | None) -> Plan:
        assert self.runs is not None
        return make_plan(
            draft,
            id=there.version,
            came_from=self.runs.version,
            root=str(self.root),
            paths={name: one.path for name, one in there.modules.items()},
            suspended=suspended or {},
            instances=lambda what: instances_of(what, [self.package]),
            gone=self.gone(there),
        )

    def apply(self) -> Applied:
        return self.swap(self.plan())

    def swap(self, plan: Plan) -> Applied:
        assert plan.refusals == ()
        applied = swap(plan.steps)
        self.runs = read_sources(self.root, [self.package])
        return applied

    def change(self, name: str, old: str, new: str) -> ModuleType:
        """A program of one module that is started with one text and gets another."""
        self.write(name, old)
        self.start()
        self.write(name, new)
        return self.module(name)

    def causes(self) -> dict[str, str]:
        """What is refused: name → cause."""
        return {one.name: one.cause for one in self.plan().refusals}

    def picture(self) -> dict[str, Any]:
        """All that a reload may change: an undo is exact if two pictures are equal."""
        return {
            name: _picture(module)
            for name, module in sorted(sys.modules.items())
            if name.partition(".")[0] == self.package
        }


def _picture(owner: Any) -> dict[str, Any]:
    found = {}
    for name, value in vars(owner).items():
        if name in ("__builtins__", "__cached__", "__spec__", "__loader__"):
            continue
        found[name] = value
        inners: list[Any] = [value, getattr(value, "__func__", None), getattr(value, "fget", None)]
        for inner in inners:
            if hasattr(inner, "__code__"):
                found[f"{name} of {id(inner)}"] = (
                    inner.__code__,
                    inner.__defaults__,
                    inner.__kwdefaults__,
                    inner.__doc__,
                )
        if isinstance(value, type) and value.__module__ == getattr(owner, "__name__", ""):
            found[f"in {name}"] = _picture(value)
    return found


def beside(texts: Mapping[str, str], parsed: Mapping[str, Parsed], paths: Mapping[str, str]) -> Importing:
    def importing(name: str) -> ModuleType:
        module = ModuleType(name)
        module.__file__ = paths[name]
        exec(compile(texts[name], paths[name], "exec"), vars(module))
        return module

    return importing


@contextmanager
def world_in(folder: Path, path: pytest.MonkeyPatch) -> Iterator[World]:
    path.syspath_prepend(str(folder))
    path.setattr(sys, "dont_write_bytecode", True)
    made = World(folder)
    try:
        yield made
    finally:
        for name in [one for one in sys.modules if one.partition(".")[0] == made.package]:
            del sys.modules[name]
