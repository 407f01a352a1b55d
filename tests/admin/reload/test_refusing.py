"""What is refused before anything is touched, and the cause that is told."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest
import trio
import trio.testing

from admin.reload.errors import SwapFailed
from admin.reload.instances import instances_of
from admin.reload.suspended import suspended
from admin.reload.swapping import roll_back, swap
from tests.admin.reload.world import World

CLASS = (
    "import enum, attrs\nclass B: pass\nclass A(B): pass\nclass C(B):\n    {}\n    def f(self): return 1\n"
)


@pytest.mark.parametrize(
    ("before", "after", "name", "cause"),
    [
        ("def f(): return 1", "def f(: return 1", "", "doesn't compile: line 1"),
        ("def f(): return 1", "import nowhere.at_all\ndef f(): return 1", "", "ModuleNotFoundError"),
        ("def f(): return 1", "from os import nothing\ndef f(): return 1", "", "ImportError"),
        ("def f(): return 1", "def f(): return 1\n1 / 0", "", "ZeroDivisionError"),
        ("def f(): return 1", "def f(): return 1\nraise SystemExit", "", "SystemExit"),
        ("def f(): return 1", "def f(): return g()", "f", "`g` is defined nowhere"),
        ("import os\ndef f(): return 1", "import os\ndef f(): return os.no()", "f", "has no `no`"),
        (CLASS.format("x = 1"), CLASS.format("x = 2"), "C", "its body changed (x)"),
        (CLASS.format("x: int = 1"), CLASS.format("x: str = 1"), "C", "its body changed (x)"),
        (
            CLASS.format("__slots__ = ('a',)"),
            CLASS.format("__slots__ = ('a', 'b')"),
            "C",
            "its slots changed",
        ),
        (CLASS.format("pass"), CLASS.format("pass").replace("C(B)", "C(A)"), "C", "its bases changed"),
        (
            CLASS.format("pass"),
            CLASS.format("pass").replace("class C", "@attrs.define\nclass C"),
            "C",
            "its decorators changed",
        ),
        (CLASS.format("pass"), "class B: pass\nclass A(B): pass\n", "C", "the class was removed"),
        (
            CLASS.format("pass"),
            CLASS.format("def __len__(self): return 1"),
            "C.__len__",
            "special method was added",
        ),
        (
            CLASS.format("def __len__(self): return 1"),
            CLASS.format("pass"),
            "C.__len__",
            "special method was removed",
        ),
        (
            CLASS.format("def __hash__(self): return 1"),
            CLASS.format("def __hash__(self): return 2"),
            "C.__hash__",
            "dicts and sets",
        ),
        (
            CLASS.format("def __init_subclass__(cls): pass"),
            CLASS.format("def __init_subclass__(cls): cls.x = 1"),
            "C.__init_subclass__",
            "when its classes were made",
        ),
        (
            "import enum\nclass E(enum.Enum):\n    ONE = 1\n",
            "import enum\nclass E(enum.Enum):\n    ONE = 1\n    TWO = 2\n",
            "E",
            "its body changed (TWO)",
        ),
        (
            "def f(): return 1",
            "import functools\n@functools.cache\ndef f(): return 1",
            "f",
            "decorators changed",
        ),
        (
            "import functools\n@functools.singledispatch\ndef f(a: int): return 1",
            "import functools\n@functools.singledispatch\ndef f(a: str): return 1",
            "f",
            "annotations changed",
        ),
        ("X = []\ndef f(a=1): return a", "X = []\ndef f(a=X): return a", "f", "`X` is no plain constant"),
        ("def f(a=()): return a", "def f(a=[]): return a", "f", "can be changed"),
        (
            "class B: pass\nclass C(B):\n    def f(self): return 1",
            "class B: pass\nclass C(B):\n    def f(self): return super().f()",
            "C.f",
            "free variables changed (none; now __class__)",
        ),
        ("def f(): return 1", "f = 1", "f", "it was a function and is a constant now"),
        (
            "def f(): return 1\nX = f()",
            "def f(): return 2\nX = f()",
            "f",
            "was called when modules were imported",
        ),
        (
            "def d(f): return f\n@d\ndef f(): return 1",
            "def d(f): return f or 1\n@d\ndef f(): return 1",
            "d",
            "was called when modules were imported",
        ),
        ("A = 1\nB = A * 2", "A = 2\nB = A * 2", "A", "it went into what was made at import"),
        ("A = 1\ndef f(a=A): return a", "A = 2\ndef f(a=A): return a", "A", "it went into what was made"),
        ("WIRE_VERSION = 1", "WIRE_VERSION = 2", "WIRE_VERSION", "a version or format changed"),
        (
            "import os\nX = 1",
            "import os\nX = 1\nos.getpid()",
            "",
            "does something when the module is imported",
        ),
        (
            "class C:\n    def __init__(self): self.a = 1",
            "class C:\n    def __init__(self): self.a = self.b = 1",
            "C",
            "(+b), and it has no `code_change`",
        ),
        (
            "class C:\n    def __init__(self): self.a = 1\n    def code_change(self): self.a = 1",
            "class C:\n    def __init__(self): self.b = 1\n    def code_change(self): self.a = 1",
            "C",
            "(+b, -a), and its `code_change` is that of an earlier change",
        ),
        (
            "class C:\n    __slots__ = ('a',)\n    def f(self): pass",
            "class C:\n    __slots__ = ('a',)\n    def code_change(self): pass\n    def f(self): pass",
            "C",
            "its objects have slots",
        ),
    ],
)
def test_what_cannot_be_loaded(world: World, before: str, after: str, name: str, cause: str) -> None:
    module = world.change("one", before, after)
    picture = world.picture()
    refusals = world.plan().refusals
    assert [one for one in refusals if one.name == name and cause in one.cause], refusals
    assert all(one.module == module.__name__ and one.remedy for one in refusals)
    assert world.picture() == picture


F = "def f(): return 1\n"
IN_F = "def f():\n    {}\n"
C = "class C:\n    x = 1\n"


@pytest.mark.parametrize(
    ("before", "after", "name", "cause"),
    [
        (F, IN_F.format("import nowhere"), "f", "line 2 imports `nowhere`, which is not there"),
        (F, IN_F.format("import os.nowhere"), "f", "imports `os.nowhere`"),
        (F, IN_F.format("import json.nowhere as n"), "f", "imports `json.nowhere`"),
        (F, IN_F.format("if f: from nowhere import x"), "f", "imports `nowhere`"),
        (F, IN_F.format("from os import nothing"), "f", "imports `nothing` of `os`, which has none"),
        (F, IN_F.format("from this import nothing_of_that"), "f", "imports `nothing_of_that` of `this`"),
        (F, IN_F.format("from PACKAGE import nothing"), "f", "imports `nothing` of"),
        (F, IN_F.format("from PACKAGE.nowhere import a"), "f", ".nowhere`, which is not there"),
        (F, IN_F.format("from PACKAGE.one import nothing"), "f", "imports `nothing` of"),
        (F, IN_F.format("from PACKAGE.idle import nothing"), "f", "imports `nothing` of"),
        (F, IN_F.format("from .nowhere import a"), "f", ".nowhere`, which is not there"),
        (F, IN_F.format("from ...... import a"), "f", "relative import"),
        (F, IN_F.format("return [g() for _ in 'a']"), "f", "`g` is defined nowhere"),
        (F, IN_F.format("def inner():\n        import nowhere\n    return inner"), "f", "line 3 imports"),
        (F, F + "def added(): return g()", "added", "`g` is defined nowhere"),
        (F, F + "def added(): import nowhere", "added", "line 2 imports `nowhere`"),
        (F, "import os\n" + F + "def added(): return os.no()", "added", "the module `os` has no `no`"),
        (F, F + "ADDED = lambda: g()", "ADDED", "`g` is defined nowhere"),
        (F, F + "class D:\n    def f(self): return g()", "D", "`g` is defined nowhere"),
        (F, F + "class D:\n    def f(self): import nowhere", "D", "line 3 imports `nowhere`"),
        (C, C + "    def added(self): return g()", "C.added", "`g` is defined nowhere"),
        (C, C + "    def added(self): import nowhere", "C.added", "line 3 imports `nowhere`"),
        (
            C,
            C + "    @property\n    def added(self): from os import nothing",
            "C.added",
            "imports `nothing` of `os`",
        ),
    ],
)
def test_what_a_function_asks_for_and_is_not_there(
    world: World, before: str, after: str, name: str, cause: str
) -> None:
    """An import runs no function, so this would raise with the first message that comes."""
    world.write("one", before)
    world.start()
    world.write("idle", "A = 1")
    world.write("one", after)
    picture = world.picture()
    refusals = world.plan().refusals
    assert [one for one in refusals if one.name == name and cause in one.cause], refusals
    assert world.picture() == picture


@pytest.mark.parametrize(
    "other", ["import nowhere", "nothing = g", "def f(): return g()", "def f(): import nowhere"]
)
def test_a_new_module_that_asks_for_what_is_not_there(world: World, other: str) -> None:
    world.write("one", F)
    world.start()
    world.write("idle", other)
    world.write("one", IN_F.format("import PACKAGE.idle"))
    plan = world.plan_elsewhere()
    assert [one.module for one in plan.refusals] == [f"{world.package}.idle"]


def test_what_a_function_imports_and_is_there(world: World) -> None:
    world.write("one", F)
    world.write("two", "A = 1")
    world.start()
    world.write("idle", "A = B = 1")
    world.write(
        "one",
        """
        def f():
            import os.path, json.decoder, xml.etree.ElementTree as tree
            from xml import sax
            from this import s
            from os import path, getpid
            from PACKAGE import one, two, idle
            from PACKAGE.idle import B
            from PACKAGE.two import A
            from .two import A as again
            from . import two as once_more
            try:
                import nowhere
            except (ValueError, ImportError):
                import json as nowhere
            global made
            made = 1

        def added(): return f() or made

        class D:
            if not f:
                import sys
            def f(self) -> "Nowhere":
                from typing import TYPE_CHECKING
                if TYPE_CHECKING:
                    import nowhere
                return __name__ or __class__
        """,
    )
    assert world.plan_elsewhere().refusals == ()


@pytest.mark.parametrize("change", ["LIMIT = 2", "LIMIT: int = 2"])
def test_a_constant_that_others_imported_by_value(world: World, change: str) -> None:
    world.write("user", "from PACKAGE.one import LIMIT\n")
    world.change("one", "LIMIT = 1", change)
    assert "was imported by" in world.causes()["LIMIT"]


def test_an_annotation_of_a_constant_is_no_change(world: World) -> None:
    world.write("user", "from PACKAGE.one import LIMIT\n")
    world.change("one", "LIMIT = 1", "LIMIT: int = 1")
    assert world.causes() == {}


def test_a_file_that_is_gone_while_its_module_runs(world: World) -> None:
    world.write("one", "X = 1")
    world.start()
    (world.root / world.package / "one.py").unlink()
    plan = world.plan()
    assert plan.refusals == ()
    assert plan.notes == (f"stays in memory until the next start: {world.package}.one",)


def test_a_c_extension(world: World) -> None:
    fast = world.root / world.package / "fast.so"
    fast.write_bytes(b"\x7fELF")
    world.write("one", "X = 1")
    world.start()
    fast.write_bytes(b"\x7fELF2")
    assert "C extension" in world.causes()[""]


def test_a_module_that_is_not_what_was_read_at_the_start(world: World) -> None:
    """Somebody had replaced the file between import and reading, or a function by hand."""
    module = world.change("one", "def f(): return 1", "def f(): return 2")
    vars(module)["f"] = lambda: 3
    assert world.causes() == {"f": "what runs is not what was read when the node started"}


def test_new_code_that_fails_in_its_place_leaves_nothing_behind(world: World) -> None:
    """Imported on its own it loads; in the running module, one name is not as its text says."""
    module = world.change(
        "one",
        "A = [1]\ndef f(): return 1",
        "import sys\nA = [1]\nB = 2\nC = A[0]\ndef f(): return 2\ndef g(): return 3",
    )
    module.A.clear()
    picture = world.picture()
    plan = world.plan()
    assert plan.refusals == ()
    with pytest.raises(SwapFailed, match="IndexError"):
        swap(plan.steps)
    assert world.picture() == picture
    assert module.f() == 1


# ---- what runs ---------------------------------------------------------------------------------------

LOOP = """
async def run(event):
    {}
        await event.wait()
        return "old"
    return 0
"""


async def test_a_loop_that_a_task_is_in(world: World) -> None:
    event = trio.Event()
    module = world.change(
        "one", LOOP.format("while True:"), LOOP.format("while 1 < 2:").replace("old", "new")
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(module.run, event)
        await trio.testing.wait_all_tasks_blocked()
        refusals = world.plan(suspended()).refusals
        event.set()
    assert [one.name for one in refusals] == ["run"]
    assert "1 task(s) are inside of it" in refusals[0].cause
    assert world.plan(suspended()).refusals == ()


async def test_a_loop_that_a_task_is_in_since_before_its_lines_moved(world: World) -> None:
    event = trio.Event()
    module = world.change("one", LOOP.format("while True:"), f"# moved\n{LOOP.format('while True:')}")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(module.run, event)
        await trio.testing.wait_all_tasks_blocked()
        world.apply()
        world.write("one", LOOP.format("while 1 < 2:"))
        refusals = world.plan(suspended()).refusals
        event.set()
    assert [one.name for one in refusals] == ["run"]


async def test_a_task_that_ends_by_itself_is_only_noted(world: World) -> None:
    event = trio.Event()
    module = world.change("one", LOOP.format("if True:"), LOOP.format("if event:").replace("old", "new"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(module.run, event)
        await trio.testing.wait_all_tasks_blocked()
        plan = world.plan(suspended())
        event.set()
    assert plan.refusals == ()
    assert any("end in its old body" in note for note in plan.notes)


# ---- live state --------------------------------------------------------------------------------------

BEFORE = "class C:\n    def __init__(self): self.a = 1\n    def f(self): return self.a\n"
AFTER = """
class C:
    def __init__(self):
        self.a = 1
        self.b = 2

    def f(self): return self.a + self.b

    def code_change(self): self.b = 10 * self.a
"""
BACK = "\n    def code_change_back(self): del self.b\n"


def test_live_objects_are_brought_over_and_back(world: World) -> None:
    module = world.change("one", BEFORE, AFTER + BACK)
    one, two = module.C(), module.C()
    two.a = 2
    plan = world.plan()
    assert plan.way_back
    picture = world.picture()
    applied = swap(plan.steps)
    assert (one.f(), two.f()) == (11, 22)
    three = module.C()
    assert three.f() == 3
    roll_back(applied)
    assert [vars(each) for each in (one, two, three)] == [{"a": 1}, {"a": 2}, {"a": 1}]
    assert world.picture() == picture


def test_a_change_without_an_inverse_is_told(world: World) -> None:
    world.change("one", BEFORE, AFTER)
    plan = world.plan()
    assert not plan.way_back
    assert any("no `code_change_back`" in note for note in plan.notes)
    assert swap(plan.steps).no_way_back.endswith("one.C")


def test_a_code_change_that_fails_half_way_leaves_all_objects_as_they_were(world: World) -> None:
    failing = AFTER.replace("self.b = 10 * self.a", "self.b = 10 / self.a")
    module = world.change("one", BEFORE, failing + BACK)
    one, two = module.C(), module.C()
    two.a = 0
    picture = world.picture()
    with pytest.raises(SwapFailed, match="ZeroDivisionError"):
        swap(world.plan().steps)
    assert (vars(one), vars(two)) == ({"a": 1}, {"a": 0})
    assert world.picture() == picture


HOLDING = """
from collections import Counter, OrderedDict, defaultdict, deque

class Below:
    __slots__ = ("s", "t", "u")

class C(Below):
    def __init__(self):
        self.s = [1]
        self.t = 1
        self.a = [1, [2]]
        self.b = {1: 2, 3: 4}
        self.c = {1, 2}
        self.d = deque([1, 2], 2)
        self.e = bytearray(b"1")
        self.f = Counter("aab")
        self.g = OrderedDict(z=1, a=2)
        self.h = defaultdict(list, {1: [2]})
"""
SPOILS = (
    HOLDING
    + """
        self.new = 1

    def code_change(self):
        self.s.append(2)
        self.t = 2
        self.u = 3
        self.a[:] = [9]
        self.b.update({1: 9, 5: 6})
        self.c.discard(1)
        self.d.append(3)
        self.e += b"2"
        self.f.clear()
        self.g.move_to_end("z")
        self.h[7] = [8]
        self.a = self.new = [9]
        {}

    def code_change_back(self):
        self.code_change()
"""
)


def _held(one: Any) -> list[Any]:
    values = [*vars(one).values(), one.s, one.t]
    return [(id(value), repr(value)) for value in values] + [hasattr(one, "u")]


def test_containers_of_live_objects_are_as_they_were_and_the_same_ones(world: World) -> None:
    module = world.change("one", HOLDING, SPOILS.replace("{}\n\n", "self.b[3].no\n\n", 1))
    one, two = module.C(), module.C()
    two.g = one.g  # shared
    before = [_held(one), _held(two)]
    with pytest.raises(SwapFailed, match="AttributeError"):
        swap(world.plan().steps)
    assert [_held(one), _held(two)] == before


def test_an_inverse_that_fails_leaves_containers_as_they_are(world: World) -> None:
    module = world.change("one", HOLDING, SPOILS.replace("{}\n\n", "len(self.e) > 2 and self.no\n\n", 1))
    one, two = module.C(), module.C()
    applied = swap(world.plan().steps)
    changed = [_held(one), _held(two)]
    assert "bytearray(b'12')" in str(changed)
    with pytest.raises(SwapFailed, match="AttributeError"):
        roll_back(applied)
    assert [_held(one), _held(two)] == changed


def test_an_inverse_that_fails_leaves_the_new_code_in_place(world: World) -> None:
    module = world.change("one", BEFORE, AFTER + BACK)
    one, two = module.C(), module.C()
    applied = swap(world.plan().steps)
    del two.b
    with pytest.raises(SwapFailed, match="AttributeError"):
        roll_back(applied)
    assert one.f() == 11


def test_objects_are_found_wherever_they_hang(world: World) -> None:
    world.write(
        "one",
        """
        class C:
            def f(self): pass
        class Below(C): pass
        class Deeper(Below): pass
        HERE = C()
        """,
    )
    world.start()
    module = world.module("one")

    def suspended(one: object) -> Iterator[object]:
        yield one

    wanted = [module.C(), module.Below(), module.Deeper(), module.HERE]
    holder = suspended(module.C())
    wanted.append(next(holder))
    gc.freeze()
    try:
        after = [module.C()]
        found = instances_of(module.C, [world.package])
    finally:
        gc.unfreeze()
    assert {id(one) for one in found} == {id(module.HERE), id(after[0])}, "what was frozen hangs on modules"
    found = instances_of(module.C, [world.package])
    assert sorted(map(id, found)) == sorted(map(id, wanted + after)), "each once"
    assert instances_of(module.Deeper, []) == [wanted[2]]
