"""The steps by which new code takes the place of old in running modules, each with its exact inverse.

A step is prepared with everything it needs; `do` and `undo` only assign. This module must never decide whether a
change may be made.
"""

import importlib.util
import sys
import time
from collections.abc import Callable, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, Protocol

import attrs

from admin.reload.errors import SwapFailed
from admin.reload.finding import Found
from admin.reload.keeping import Kept

ABSENT: Final = object()


class Step(Protocol):
    """`undo` is called only after `do`, with nothing else changed in between but by later steps, which were undone."""

    module: str

    def do(self) -> None: ...

    def undo(self) -> None: ...


class Recode:
    """A function gets another body and stays who it is."""

    def __init__(
        self,
        module: str,
        found: Found,
        code: CodeType,
        doc: str | None,
        defaults: tuple[tuple[Any, ...] | None, dict[str, Any] | None] | None,
        *,
        forget: bool,
    ) -> None:
        """
        Args:
            defaults: (of arguments by place, by keyword); None: as they are.
            forget: empty the caches of its answers.
        """
        self.module = module
        self._function: Any = found.function
        self._caches = found.caches if forget else ()
        function: Any = found.function
        before = (function.__defaults__, function.__kwdefaults__)
        self._before = (function.__code__, before, function.__doc__)
        self._after = (code, before if defaults is None else defaults, doc)

    def do(self) -> None:
        self._put(*self._after)

    def undo(self) -> None:
        self._put(*self._before)

    def _put(
        self, code: CodeType, defaults: tuple[tuple[Any, ...] | None, dict[str, Any] | None], doc: str | None
    ) -> None:
        function = self._function
        function.__code__ = code
        function.__defaults__, function.__kwdefaults__ = defaults
        function.__doc__ = doc
        for clear in self._caches:
            clear()


class Run:
    """A statement of the new source is run in the module: an import, a constant, a new function or class."""

    def __init__(self, module: ModuleType, code: CodeType, names: Sequence[str]) -> None:
        self.module = module.__name__
        self._space = vars(module)
        self._code = code
        self._names = names
        self._before: dict[str, Any] = {}

    def do(self) -> None:
        self._before = {name: self._space.get(name, ABSENT) for name in self._names}
        try:
            exec(self._code, self._space)  # noqa: S102 - it is the program's own source
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        for name, value in self._before.items():
            if value is ABSENT:
                self._space.pop(name, None)
            else:
                self._space[name] = value


class Attribute:
    """An attribute of a module or class is set, or removed (value ABSENT)."""

    def __init__(self, module: str, owner: Any, name: str, value: Any) -> None:
        self.module = module
        self._owner = owner
        self._name = name
        self._value = value
        self._before: Any = ABSENT

    def do(self) -> None:
        self._before = vars(self._owner).get(self._name, ABSENT)
        self._put(self._value)

    def undo(self) -> None:
        self._put(self._before)

    def _put(self, value: Any) -> None:
        if value is not ABSENT:
            setattr(self._owner, self._name, value)
        elif self._name in vars(self._owner):
            delattr(self._owner, self._name)


class AddModule:
    """A module that was not there is made and run, as an import would."""

    def __init__(self, name: str, code: CodeType, path: str) -> None:
        self.module = name
        self._code = code
        self._path = path
        self._added = False

    def do(self) -> None:
        name = self.module
        if name in sys.modules:
            return
        places = [self._path.rpartition("/")[0]] if self._path.endswith("/__init__.py") else None
        spec = importlib.util.spec_from_file_location(name, self._path, submodule_search_locations=places)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        self._added = True
        try:
            exec(self._code, vars(module))  # noqa: S102 - it is the program's own source
        except BaseException:
            self.undo()
            raise
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)

    def undo(self) -> None:
        if self._added:
            module = sys.modules.pop(self.module, None)
            parent, _, last = self.module.rpartition(".")
            if parent and vars(sys.modules[parent]).get(last) is module is not None:
                delattr(sys.modules[parent], last)
            self._added = False


class Migrate:
    """Live objects of a class are brought over by its `code_change`; `back` names its inverse, if it has one."""

    def __init__(
        self, module: str, owner: type, find: Callable[[type], list[Any]], forward: str, back: str | None
    ) -> None:
        self.module = module
        self.owner = owner
        self._find = find
        self._forward = forward
        self._back = back
        self._kept: list[Kept] = []
        self.count = 0

    @property
    def has_way_back(self) -> bool:
        return self._back is not None

    def do(self) -> None:
        self._change(self._forward)

    def undo(self) -> None:
        """Every object as it was, as far as `keeping` looks: nothing has run since."""
        for one in self._kept:
            one.put_back()
        self._kept = []

    def forget(self) -> None:
        """What was kept to undo at once; from now on there is only the inverse."""
        self._kept = []

    def reverse(self) -> None:
        """While the new code is in place."""
        assert self._back is not None
        self._change(self._back)

    def _change(self, method: str) -> None:
        found = self._find(self.owner)
        self._kept = [Kept(one) for one in found]  # all before the first changes: they may share something
        self.count = len(found)
        try:
            for one in found:
                getattr(one, method)()
        except BaseException:
            self.undo()
            raise


@attrs.define
class Applied:
    """Steps that were done, and how long the node stood still for them."""

    steps: tuple[Step, ...]
    pause_ms: float

    @property
    def no_way_back(self) -> str:
        """The class whose objects can't be brought back; "" if there is none."""
        return next(
            (
                f"{one.module}.{one.owner.__qualname__}"
                for one in self.steps
                if isinstance(one, Migrate) and not one.has_way_back
            ),
            "",
        )


def swap(steps: Sequence[Step]) -> Applied:
    """All of them, or none.

    Raises:
        SwapFailed: one failed; those before it were undone.
    """
    began = time.perf_counter()
    done: list[Step] = []
    for step in steps:
        try:
            step.do()
        except BaseException as error:  # a new module may raise whatever it likes
            for one in reversed(done):
                one.undo()
            raise SwapFailed(step.module, error) from error
        done.append(step)
    for step in done:
        if isinstance(step, Migrate):
            step.forget()
    return Applied(tuple(done), (time.perf_counter() - began) * 1000)


def roll_back(applied: Applied) -> float:
    """The inverse of `swap`: everything as it was. Returns how long it took, in milliseconds.

    Raises:
        SwapFailed: a `code_change_back` failed; nothing was undone.
    """
    began = time.perf_counter()
    reversed_: list[Migrate] = []
    for step in reversed(applied.steps):
        if isinstance(step, Migrate):
            try:
                step.reverse()
            except BaseException as error:  # it may raise whatever it likes
                for one in reversed(reversed_):
                    one.undo()
                raise SwapFailed(step.module, error) from error
            reversed_.append(step)
    for step in reversed(applied.steps):
        if not isinstance(step, Migrate):
            step.undo()
    for one in reversed_:
        one.forget()
    return (time.perf_counter() - began) * 1000


def make_method(
    module: ModuleType,
    owner: type,
    code: CodeType,
    name: str,
    defaults: tuple[tuple[Any, ...] | None, dict[str, Any] | None],
    doc: str | None,
) -> FunctionType:
    """A function as the class statement would have made it; `super()` finds the class that runs."""
    cells = _cells(owner) if code.co_freevars else None
    function = FunctionType(code, vars(module), name, defaults[0], cells)
    function.__kwdefaults__ = defaults[1]
    function.__doc__ = doc
    function.__module__ = module.__name__
    return function


def _cells(owner: type) -> tuple[Any, ...]:
    def cell() -> type:
        return owner

    assert cell.__closure__ is not None
    return cell.__closure__
