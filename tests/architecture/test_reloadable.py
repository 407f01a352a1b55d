"""Modules that may be replaced in a running node keep to the rules that make it possible (docs/hot-reload.md)."""

import ast
import importlib
from types import MappingProxyType

import pytest

from admin.reload.difference import compare
from admin.reload.finding import find
from admin.reload.policy import LIVE, rule_of
from admin.reload.units import Function, parse, scope_of
from tests.architecture.conftest import Module

LEAST = 350
"""Modules that may be replaced; with less, the rules of what may not are others."""

LOOP_STATEMENTS_MAX = 3
"""Of the body of a loop that may go round for ever: `await step()`, and what goes with it."""

THICK = MappingProxyType(
    {
        "replication.replicated": ("_until",),
        "replication.zeromq.adapter": ("wait", "receive"),
    }
)
"""Loops that do more, and end when what they wait for is there."""

DECORATORS = frozenset(
    (
        "attrs.define",
        "attrs.frozen",
        "attrs.mutable",
        "asynccontextmanager",
        "classmethod",
        "contextmanager",
        "enum.unique",
        "contextlib.contextmanager",
        "functools.cache",
        "lru_cache",
        "override",
        "property",
        "staticmethod",
    )
)
"""Besides setters and defaults of attributes: what a reload finds a function behind."""


def _replaceable(modules: list[Module]) -> list[Module]:
    """Those that may be replaced while a node runs."""
    found = [one for one in modules if one.name.split(".")[0] in LIVE and rule_of(one.name) is None]
    assert len(found) >= LEAST
    return found


def endless_loops(tree: ast.Module) -> list[str]:
    """`while True` in what may be suspended, with more in it than a step: a task would stay in the old body."""
    found = []
    for function in ast.walk(tree):
        if isinstance(function, ast.AsyncFunctionDef):
            for loop in ast.walk(function):
                if not isinstance(loop, ast.While) or not isinstance(loop.test, ast.Constant):
                    continue
                if sum(len(_statements(one)) for one in loop.body) > LOOP_STATEMENTS_MAX:
                    found.append(f"line {loop.lineno}: {function.name}")
    return found


def _statements(node: ast.stmt) -> list[ast.stmt]:
    return [one for one in ast.walk(node) if isinstance(one, ast.stmt)]


def effects(tree: ast.Module) -> list[str]:
    """What happens when the module is imported, besides definitions: it would not happen again, or twice."""
    return [
        f"line {node.lineno}: {ast.unparse(node)[:60]}"
        for node in scope_of(tree.body).rest
        if not isinstance(node, ast.Assert) and "__name__" not in ast.unparse(node)
    ]


def strange_decorators(tree: ast.Module) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, Function | ast.ClassDef):
            for decorator in node.decorator_list:
                name = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
                attribute = name.rpartition(".")[2] in ("setter", "default", "validator")
                if name not in DECORATORS and not attribute:
                    found.append(f"line {node.lineno}: @{name}")
    return found


def test_a_module_that_may_be_replaced_keeps_to_the_rules(modules: list[Module]) -> None:
    broken = {}
    for one in _replaceable(modules):
        known = THICK.get(one.name, ())
        loops = [loop for loop in endless_loops(one.tree) if loop.rpartition(" ")[2] not in known]
        broken[one.place] = effects(one.tree) + strange_decorators(one.tree) + loops
    assert {place: found for place, found in broken.items() if found} == {}


def test_every_function_of_a_node_is_found_where_it_runs(modules: list[Module]) -> None:
    nodes = [one for one in _replaceable(modules) if one.name.split(".")[0] == "node"]
    assert nodes
    for one in nodes:
        module = importlib.import_module(one.name)
        old = parse(one.name, one.source, str(one.path))
        new = parse(one.name, f"\n\n{one.source}", str(one.path))
        found = compare(old, new)
        assert found.refusals == [], one.place
        assert {each.kind for each in found.functions} <= {"moved"}, one.place
        assert (found.added, found.removed, found.statements) == ([], [], {}), one.place
        for function in found.functions:
            assert find(module, function.name, function.old).function.__code__.co_name, one.place


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        (
            "async def run():\n    while True:\n        a()\n        b()\n        await c()\n        d()",
            endless_loops,
        ),
        (
            "async def f():\n    while 1:\n        if a():\n            await b()\n            c()\n            d()",
            endless_loops,
        ),
        ("register(f)", effects),
        ("for x in range(3):\n    pass", effects),
        ("@mine\ndef f(): pass", strange_decorators),
        ("@registry.register(1)\nclass C: pass", strange_decorators),
    ],
)
def test_what_breaks_a_rule_is_found(source: str, rule: object) -> None:
    assert callable(rule)
    assert len(rule(ast.parse(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "async def run():\n    while True:\n        await step()",
        "def f():\n    while True:\n        a()\n        b()\n        c()\n        d()",
        "import attrs\n@attrs.frozen\nclass C:\n    @property\n    def p(self): return 1",
        "assert 1 < 2\nX = f()",
    ],
)
def test_what_keeps_to_the_rules_is_not(source: str) -> None:
    tree = ast.parse(source)
    assert endless_loops(tree) + effects(tree) + strange_decorators(tree) == []


def test_what_phones_speak_is_not_replaced_in_a_running_node() -> None:
    for module in ("node.wire.waystation", "node.wire.generated"):
        rule = rule_of(module)
        assert rule is not None, module
        assert rule.verdict == "never", module
