"""What `__init__` gives objects that live: another kind under the same name is another shape."""

import ast

import pytest

from admin.reload.shapes import attributes_of
from tests.admin.reload.world import World


def _class(body: str, more: str = "") -> str:
    return f"class C:\n    def __init__(self, given=None):\n        {body}\n{more}"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("self.dropped = 0", "self.dropped = []", "(dropped: number → list)"),
        ("self.a = {}", "self.a = set()", "(a: dict → set)"),
        ("self.a: list[int] = []", "self.a: dict[int, int] = dict[int, int]()", "(a: list → dict)"),
        ("self.a = Old()", "self.a = New()", "(a: Old → New)"),
        ("self.a = None", "self.a = ''", "(a: NoneType → str)"),
        ("self.a = self.b = 1", "self.a = 1; self.b = ()", "(b: number → tuple)"),
    ],
)
def test_another_kind_is_refused_without_a_code_change(world: World, old: str, new: str, told: str) -> None:
    world.change(
        "one",
        "class Old: pass\nclass New: pass\n" + _class(old),
        "class Old: pass\nclass New: pass\n" + _class(new),
    )
    assert told in world.causes()["C"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("self.a = 0", "self.a = 1.5"), ("self.a = []", "self.a = [1]"), ("self.a = -1", "self.a = 2")],
)
def test_the_same_kind_is_not(world: World, old: str, new: str) -> None:
    world.change("one", _class(old), _class(new))
    plan = world.plan()
    assert (plan.refusals, [one for one in plan.notes if "another kind" in one]) == ((), [])


def test_what_the_text_does_not_say_is_noted(world: World) -> None:
    world.change("one", _class("self.a = 0"), _class("self.a = given"))
    plan = world.plan()
    assert plan.refusals == ()
    assert any("C: a may be of another kind now" in one for one in plan.notes)


def test_a_code_change_brings_live_objects_over(world: World) -> None:
    more = "    def code_change(self): self.a = []\n    def code_change_back(self): self.a = 0\n"
    module = world.change("one", _class("self.a = 0"), _class("self.a = []", more))
    one = module.C()
    world.apply()
    assert one.a == []


def test_methods_that_it_calls_are_followed(world: World) -> None:
    helper = "    def _begin(self):\n        self.a = 0\n        self._more()\n    def _more(self): {}\n"
    world.change(
        "one",
        _class("self._begin()", helper.format("self._begin()")),
        _class("self._begin()", helper.format("self.b = 1")),
    )
    assert "(+b)" in world.causes()["C"]


def test_what_others_methods_set_is_no_shape() -> None:
    (node,) = ast.parse(_class("self.a = given.b()", "    def b(self): self.c = 1\n")).body
    assert isinstance(node, ast.ClassDef)
    assert attributes_of(node) == {"a": frozenset("?")}
