"""A draft joined with what runs: every function found, every step prepared; what is in the way is refused.

Nothing is touched here. This module must never run new code.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import PurePath
from types import CodeType, MappingProxyType, ModuleType
from typing import Any, Final

import attrs

from admin.reload.codes import same_code
from admin.reload.difference import BACK, FORWARD
from admin.reload.draft import Draft, FunctionChange, MethodAdded, ModuleChange, Refusal, Shape
from admin.reload.finding import Found, Missing, find, mangled, owner_of
from admin.reload.policy import unguarded
from admin.reload.swapping import ABSENT, AddModule, Attribute, Migrate, Recode, Run, Step, make_method

KINDS: Final[Mapping[str, Callable[[Any], Any]]] = MappingProxyType(
    {
        "staticmethod": staticmethod,
        "classmethod": classmethod,
        "property": property,
        "": lambda function: function,
    }
)


@attrs.frozen
class Plan:
    """What `apply` would do. id: the version that it leads to; came_from: the one that runs."""

    id: str
    came_from: str
    root: str
    draft: Draft
    steps: tuple[Step, ...] = attrs.field(repr=False)
    refusals: tuple[Refusal, ...]
    notes: tuple[str, ...]
    prepare_ms: float  # the loop stood still for it

    @property
    def way_back(self) -> bool:
        """Whether all of it can be undone; code always can."""
        return all(shape.back for module in self.draft.modules for shape in module.shapes)

    @property
    def empty(self) -> bool:
        return not self.draft.modules and not self.refusals

    def told(self) -> dict[str, Any]:
        """As plain data, for whoever asked."""
        return {
            "id": self.id,
            "runs": self.came_from,
            "from": self.root,
            "can_be_applied": not self.refusals and not self.empty,
            "can_be_rolled_back": self.way_back,
            "modules": [_told(module) for module in self.draft.modules],
            "refused": [attrs.asdict(one) for one in self.refusals],
            "notes": list(self.notes),
        }


def _told(module: ModuleChange) -> dict[str, Any]:
    told = {
        "module": module.name,
        "runs": module.old_version,
        "new": module.new_version,
        "changed": [one.name for one in module.functions if one.kind == "changed"],
        "harmless": [one.name for one in module.functions if one.kind == "harmless"],
        "added": [
            *(f"{one.owner}.{one.name}" for one in module.added),
            *(name for one in module.statements if one.what != "import" for name in one.names),
        ],
        "removed": list(module.removed),
        "migrated": [one.owner for one in module.shapes],
    }
    return {**told, "added": ["the module"]} if module.code is not None else told


@attrs.define
class _Making:
    """By kind, in the order in which they are done: bodies first, so that whatever runs after runs the new ones."""

    suspended: Mapping[CodeType, int]
    instances: Callable[[type], list[Any]]
    paths: Mapping[str, str]
    recodes: list[Step] = attrs.Factory(list)
    runs: list[Step] = attrs.Factory(list)
    methods: list[Step] = attrs.Factory(list)
    removals: list[Step] = attrs.Factory(list)
    migrations: list[Step] = attrs.Factory(list)
    refusals: list[Refusal] = attrs.Factory(list)
    notes: list[str] = attrs.Factory(list)


def make_plan(
    draft: Draft,
    *,
    id: str,  # noqa: A002 - the plan's word for it
    came_from: str,
    root: str,
    paths: Mapping[str, str],
    suspended: Mapping[CodeType, int],
    instances: Callable[[type], list[Any]],
    later: Sequence[str] = (),
    gone: Sequence[str] = (),
) -> Plan:
    """
    Args:
        paths: module → file.
        suspended: code that tasks are in the middle of → how many are.
        instances: finds the live objects of a class.
        later: modules whose change waits for the next start.
        gone: modules without a file any more; they stay in memory, and nothing new leads to them.
    """
    began = time.perf_counter()
    making = _Making(suspended, instances, paths)
    for change in draft.modules:
        module = sys.modules.get(change.name)
        if change.code is not None:
            making.runs.append(AddModule(change.name, change.code, paths[change.name]))
        elif module is not None:
            _module(making, module, change)
        making.notes += [f"{change.name}.{note}" for note in change.notes]
    making.notes += _unguarded([one.name for one in draft.modules])
    if later:
        making.notes.append(f"takes effect at the next start: {', '.join(later)}")
    if gone:
        making.notes.append(f"stays in memory until the next start: {', '.join(gone)}")
    steps = (*making.recodes, *making.runs, *making.methods, *making.removals, *making.migrations)
    refusals = (*draft.refusals, *making.refusals)
    prepare_ms = (time.perf_counter() - began) * 1000
    return Plan(id, came_from, root, draft, steps, refusals, tuple(making.notes), prepare_ms)


def _unguarded(modules: Sequence[str]) -> list[str]:
    """One note for each kind."""
    found: dict[str, list[str]] = {}
    for name in modules:
        if name in sys.modules and (cause := unguarded(name)):
            found.setdefault(cause, []).append(name)
    return [f"{', '.join(names)}: {cause}" for cause, names in found.items()]


def _module(making: _Making, module: ModuleType, change: ModuleChange) -> None:
    made: list[tuple[str, Callable[[], None]]] = [
        *((one.name, partial(_recode, making, module, one)) for one in change.functions),
        *((f"{one.owner}.{one.name}", partial(_method, making, module, one)) for one in change.added),
        *((name, partial(_remove, making, module, name)) for name in change.removed),
        *((name, partial(_document, making, module, name, doc)) for name, doc in change.docs),
        *((one.owner, partial(_migrate, making, module, one)) for one in change.shapes),
    ]
    for name, make in made:
        try:
            make()
        except Missing as error:
            making.refusals.append(Refusal(change.name, name, str(error)))
    making.runs += [Run(module, one.code, one.names) for one in change.statements]


def _recode(making: _Making, module: ModuleType, change: FunctionChange) -> None:
    try:
        found = find(module, change.name, change.old)
    except Missing:
        if _runs_already(module, change):
            return
        raise
    name = f"{module.__name__}.{change.name}"
    if change.kind == "changed" and (tasks := _inside(making.suspended, change)):
        if change.loops:
            cause = f"{tasks} task(s) are inside of it and stay in its old body for as long as they go round"
            remedy = "make the loop thin (`while True: await step()`), and restart the node"
            making.refusals.append(Refusal(module.__name__, change.name, cause, remedy))
            return
        making.notes.append(f"{name}: {tasks} task(s) end in its old body")
    if found.caches and change.kind == "changed":
        making.notes.append(f"{name}: what it remembers of its answers is forgotten")
    making.recodes.append(
        Recode(
            module.__name__,
            found,
            change.new,
            change.doc,
            (change.defaults, change.keywords) if change.redefaulted else None,
            forget=change.kind == "changed",
        )
    )


def _inside(suspended: Mapping[CodeType, int], change: FunctionChange) -> int:
    """Tasks in any of its bodies, those of earlier versions included, which differ by lines at least."""
    return sum(
        tasks
        for code, tasks in suspended.items()
        if code.co_qualname == change.name
        and PurePath(code.co_filename).name == PurePath(change.old.co_filename).name
    )


def _runs_already(module: ModuleType, change: FunctionChange) -> bool:
    """A module that was imported after the node had read its files."""
    try:
        found: Found = find(module, change.name, change.new)
    except Missing:
        return False
    return same_code(found.function.__code__, change.new)


def _method(making: _Making, module: ModuleType, added: MethodAdded) -> None:
    owner, name = owner_of(module, f"{added.owner}.{added.name}")
    function = make_method(module, owner, added.code, added.name, (added.defaults, added.keywords), added.doc)
    making.methods.append(Attribute(module.__name__, owner, name, KINDS[added.kind](function)))


def _remove(making: _Making, module: ModuleType, name: str) -> None:
    owner, last = owner_of(module, name)
    if last not in vars(owner):
        raise Missing("it is not there")
    making.removals.append(Attribute(module.__name__, owner, last, ABSENT))


def _document(making: _Making, module: ModuleType, name: str, doc: str | None) -> None:
    owner: Any = module
    if name:
        parent, last = owner_of(module, name)
        owner = vars(parent).get(last)
        if not isinstance(owner, type):
            raise Missing("it is no class")
    making.removals.append(Attribute(module.__name__, owner, "__doc__", doc))


def _migrate(making: _Making, module: ModuleType, shape: Shape) -> None:
    parent, last = owner_of(module, shape.owner)
    owner = vars(parent).get(mangled("", last))
    if not isinstance(owner, type):
        raise Missing("it is no class")
    name = f"{module.__name__}.{shape.owner}"
    if owner.__dictoffset__ == 0:
        raise Missing("its objects have slots, whose shape is fixed when they are made")
    if not shape.back:
        making.notes.append(
            f"{name}: its `code_change` has no `code_change_back`: nothing rolls this back, by itself or by command"
        )
    back = BACK if shape.back else None
    making.migrations.append(Migrate(module.__name__, owner, making.instances, FORWARD, back))
