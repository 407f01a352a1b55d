"""What takes the new code's effect although somebody got hold of it before: and the undo of each, exactly."""

import functools
from typing import Any

import pytest

from admin.reload.swapping import roll_back
from tests.admin.reload.world import World


def _held(world: World, before: str, after: str, hold: str, call: str = "held()") -> None:
    """`held` was taken before the change; what `call` gives is "old", then "new", then "old" again."""
    module = world.change("one", before, after)
    names: dict[str, Any] = {"m": module, "functools": functools}
    names["held"] = eval(hold, names)
    assert eval(call, names) == "old"
    picture = world.picture()
    applied = world.apply()
    assert eval(call, names) == "new"
    roll_back(applied)
    assert eval(call, names) == "old"
    assert world.picture() == picture


def _function(what: str) -> str:
    return f"def f():\n    return {what!r}\n"


def _method(what: str, decorator: str = "", argument: str = "self") -> str:
    return f"class C:\n    {decorator}\n    def f({argument}):\n        return {what!r}\n"


@pytest.mark.parametrize(
    "hold",
    [
        "m.f",
        "functools.partial(m.f)",
        "lambda f=m.f: f()",
        "{1: m.f}[1]",
        "functools.partial(functools.partial(m.f))",
        "functools.wraps(m.f)(lambda f=m.f: f())",
    ],
)
def test_a_function_that_somebody_holds(world: World, hold: str) -> None:
    _held(world, _function("old"), _function("new"), hold)


@pytest.mark.parametrize(
    ("decorator", "argument", "hold", "call"),
    [
        ("", "self", "m.C().f", "held()"),
        ("", "self", "functools.partial(m.C.f, m.C())", "held()"),
        ("@staticmethod", "", "m.C.f", "held()"),
        ("@classmethod", "cls", "m.C.f", "held()"),
        ("@property", "self", "m.C()", "held.f"),
    ],
)
def test_a_method_that_somebody_holds(
    world: World, decorator: str, argument: str, hold: str, call: str
) -> None:
    _held(world, _method("old", decorator, argument), _method("new", decorator, argument), hold, call)


@pytest.mark.parametrize(
    ("head", "call"),
    [
        ("import functools\n@functools.cache\n", "held()"),
        ("import functools\n@functools.lru_cache(maxsize=3)\n", "held()"),
        ("import functools\n@functools.singledispatch\n", "held(1)"),
        (
            "from functools import wraps\ndef d(f):\n    @wraps(f)\n    def g(*a): return f(*a)\n    return g\n@d\n",
            "held()",
        ),
        ("def d(f):\n    def g(*a):\n        return f(*a)\n    return g\n@d\n", "held()"),
    ],
)
def test_a_decorated_function_and_what_it_remembers(world: World, head: str, call: str) -> None:
    _held(
        world,
        f"{head}def f(*a):\n    return 'old'\n",
        f"{head}def f(*a):\n    return 'new'\n",
        "m.f",
        call,
    )


def test_an_implementation_of_singledispatch_that_has_no_name_left(world: World) -> None:
    text = """
        import functools

        @functools.singledispatch
        def f(what): return "none"

        @f.register
        def _(what: int): return "%s"

        @f.register
        def _(what: str): return "text"
    """
    _held(world, text % "old", text % "new", "m.f", "held(1)")


def test_a_property_and_its_setter(world: World) -> None:
    text = """
        class C:
            @property
            def p(self): return self.x
            @p.setter
            def p(self, value): self.x = "%s"
    """

    _held(world, text % "old", text % "new", "m.C()", "(setattr(held, 'p', 0), held.p)[1]")


def test_super_and_private_names(world: World) -> None:
    text = """
        class B:
            def f(self): return "%s"
        class C(B):
            def f(self): return super().f() + self.__g()
            def __g(self): return ""
    """
    _held(world, text % "old", text % "new", "m.C().f")


def test_a_method_of_slotted_attrs_and_enum_classes(world: World) -> None:
    text = """
        import attrs, enum
        @attrs.frozen
        class A:
            x: int = 1
            def f(self): return "%s"
        class E(enum.Enum):
            ONE = 1
            def f(self): return A().f()
    """
    _held(world, text % "old", text % "new", "m.E.ONE.f")


def test_default_values(world: World) -> None:
    text = "def f(a='%s', *, b='%s'):\n    return a if a == b else 'torn'\n"
    _held(world, text % ("old", "old"), text % ("new", "new"), "m.f")


def test_a_new_argument_with_a_default(world: World) -> None:
    _held(world, "def f():\n    return 'old'\n", "def f(a='new'):\n    return a\n", "m.f")


def test_a_context_manager(world: World) -> None:
    text = "import contextlib\n@contextlib.contextmanager\ndef f():\n    yield %r\n"
    _held(world, text % "old", text % "new", "m.f", "held().__enter__()")


def test_a_coroutine_function(world: World) -> None:
    text = """
        async def f(): return "%s"
        def run():
            try: f().send(None)
            except StopIteration as end: return end.value
    """
    _held(world, text % "old", text % "new", "m.run")


def test_what_a_suspended_generator_does_stays_old(world: World) -> None:
    module = world.change(
        "one", "def f():\n    yield 1\n    yield 2\n", "def f():\n    yield 3\n    yield 4\n"
    )
    running = module.f()
    assert next(running) == 1
    world.apply()
    assert list(running) == [2]
    assert list(module.f()) == [3, 4]


def test_functions_that_are_hot_already(world: World) -> None:
    """Bytecode that the interpreter has specialised, with caches of what it calls inside."""
    text = """
        class C:
            def g(self, n): return n + %d
        def f(c):
            total = 0
            for n in range(1000):
                total += c.g(n)
            return total
    """
    module = world.change("one", text % 0, text % 1)
    one = module.C()
    before = module.f(one)
    for _ in range(50):
        assert module.f(one) == before
    applied = world.apply()
    assert [module.f(one) for _ in range(50)] == [before + 1_000] * 50
    roll_back(applied)
    assert [module.f(one) for _ in range(50)] == [before] * 50


# ---- what comes and goes -----------------------------------------------------------------------------


def test_new_functions_methods_classes_and_constants(world: World) -> None:
    module = world.change(
        "one",
        """
        class B:
            def base(self): return "new"
        class C(B):
            pass
        def f(): return "old"
        """,
        """
        import functools
        from collections import deque as queue

        LIMIT = 3
        TABLE = tuple(twice(n) for n in range(LIMIT)) if False else (1, 2)
        class B:
            def base(self): return "new"
        class C(B):
            def m(self, k=1, *, other="x"): return super().base()
            @property
            def p(self): return self.__q()
            def __q(self): return LIMIT
            @classmethod
            def c(cls): return cls
            @staticmethod
            def s(): return twice(LIMIT)
        class D(C):
            def m(self): return super().m()
        @functools.cache
        def twice(n=LIMIT): return 2 * n
        def f(): return D().m(), C().p, C.c() is C, C.s(), queue([1])[0], twice()
        """,
    )
    one = module.C()
    picture = world.picture()
    applied = world.apply()
    assert module.f() == ("new", 3, True, 6, 1, 6)
    assert one.m() == "new"
    assert module.C.m.__qualname__ == "C.m"
    roll_back(applied)
    assert world.picture() == picture
    assert not hasattr(one, "m")
    assert module.f() == "old"


def test_removed_functions_methods_and_names(world: World) -> None:
    module = world.change(
        "one",
        "import os\nLIMIT = 1\ndef g(): pass\nclass C:\n    def m(self): pass\n    def n(self): pass\n",
        "class C:\n    def n(self): pass\n",
    )
    picture = world.picture()
    applied = world.apply()
    assert [hasattr(module, name) for name in ("os", "LIMIT", "g", "C")] == [False, False, False, True]
    assert not hasattr(module.C, "m")
    roll_back(applied)
    assert world.picture() == picture


def test_a_name_that_is_bound_to_another_function(world: World) -> None:
    world.write("source", "def a(): return 'old'\ndef b(): return 'new'\n")
    _held(
        world,
        "from PACKAGE.source import a as f\ndef g(): return f()\n",
        "from PACKAGE.source import b as f\ndef g(): return f()\n",
        "m.g",
    )


def test_a_constant_of_the_modules_own(world: World) -> None:
    text = "LIMIT = '%s'\ndef f(): return LIMIT\n"
    _held(world, text % "old", text % "new", "m.f")


def test_a_constant_is_made_by_the_new_body_of_a_function(world: World) -> None:
    module = world.change(
        "one",
        "def make(): return [1]\nTABLE = (make(), 'old')\n",
        "def make(): return [2]\nTABLE = (make(), 'new')\n",
    )
    world.apply()
    assert module.TABLE == ([2], "new")


def test_who_imported_a_function_by_name_has_the_new_one(world: World) -> None:
    world.write("user", "from PACKAGE.one import f\ndef g(): return f()\n")
    world.change("one", _function("old"), _function("new"))
    user = world.module("user")
    applied = world.apply()
    assert user.g() == "new"
    roll_back(applied)
    assert user.g() == "old"


def test_several_modules_at_once_and_a_new_one_between_them(world: World) -> None:
    world.write("low", "def f(): return 'old'\n")
    world.write("high", "from PACKAGE.low import f\ndef g(): return f()\n")
    world.start()
    high = world.module("high")
    picture = world.picture()
    world.write("low", "def f(): return 'new'\ndef more(): return f() + '!'\n")
    world.write(
        "middle", "from PACKAGE import low\nfrom PACKAGE.low import more\nTABLE = (low.more(), more)\n"
    )
    world.write(
        "high", "from PACKAGE.low import f\nfrom PACKAGE.middle import TABLE\ndef g(): return TABLE[0]\n"
    )
    plan = world.plan_elsewhere()
    assert [one.name.rpartition(".")[2] for one in plan.draft.modules] == ["low", "middle", "high"]
    assert plan.refusals == ()
    applied = world.swap(plan)
    assert high.g() == "new!"
    roll_back(applied)
    assert high.g() == "old"
    assert world.picture() == picture


def test_lines_alone_are_no_change_but_tracebacks_follow(world: World) -> None:
    module = world.change("one", _function("old"), f"# a comment\n\n\n{_function('old')}")
    plan = world.plan()
    assert [one.kind for one in plan.draft.modules[0].functions] == ["moved"]
    world.apply()
    assert module.f.__code__.co_firstlineno == 4


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def f(a): return a", "def f(a: int) -> int: return a"),
        ("def f(a):\n    b = 1\n    return b", "def f(a):\n    b: int = 1\n    return b"),
        ("def f(a):\n    '''Old.'''\n    return a", "def f(a):\n    '''New.'''\n    return a"),
        ("def f(a): return 2 * 3", "def f(a): return 6"),
        ("def f(a): return (a)", "def f(a):\n    return a"),
    ],
)
def test_documentation_and_annotations_are_harmless(world: World, before: str, after: str) -> None:
    module = world.change("one", before, after)
    plan = world.plan()
    assert not any(one.kind == "changed" for one in plan.draft.modules[0].functions)
    world.apply()
    assert module.f(1) in (1, 6)


def test_documentation_of_modules_and_classes(world: World) -> None:
    text = "'''%s.'''\nclass C:\n    '''%s.'''\n    def f(self):\n        '''%s.'''\n"
    module = world.change("one", text % (("Old",) * 3), text % (("New",) * 3))
    picture = world.picture()
    applied = world.apply()
    assert (module.__doc__, module.C.__doc__, module.C.f.__doc__) == ("New.",) * 3
    roll_back(applied)
    assert world.picture() == picture


@pytest.mark.parametrize(
    ("before", "after"), [("1", "True"), ("1", "1.0"), ("0.0", "-0.0"), ("(1,)", "(True,)")]
)
def test_equal_values_of_another_type_are_a_change(world: World, before: str, after: str) -> None:
    module = world.change("one", f"def f(): return {before}", f"def f(): return {after}")
    world.apply()
    assert repr(module.f()) == after


def test_reloads_follow_one_another_and_are_undone_in_turn(world: World) -> None:
    world.write("one", "def f(): return 0")
    world.start()
    module = world.module("one")
    done = []
    for n in range(1, 6):
        world.write("one", "\n" * n + f"def f(): return {n}")
        done.append(world.apply())
        assert module.f() == n
    for n, applied in reversed(list(enumerate(done))):
        roll_back(applied)
        assert module.f() == n
