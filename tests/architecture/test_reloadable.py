"""Modules that may be replaced in a running node keep to the rules that make it possible (docs/hot-reload.md)."""

import ast
import importlib
from pathlib import Path
from types import MappingProxyType

import pytest

from admin.reload.difference import compare
from admin.reload.finding import find
from admin.reload.policy import LIVE, rule_of
from admin.reload.units import Function, parse, scope_of

ROOT = Path(__file__).resolve().parents[2]

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


def _modules() -> list[Path]:
    paths = sorted(path for package in LIVE for path in (ROOT / package).rglob("*.py"))
    return [path for path in paths if rule_of(_name(path)) is None]


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def endless_loops(source: str) -> list[str]:
    """`while True` in what may be suspended, with more in it than a step: a task would stay in the old body."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.AsyncFunctionDef):
            for loop in ast.walk(function):
                endless = isinstance(loop, ast.While) and isinstance(loop.test, ast.Constant)
                if endless and sum(1 for one in loop.body for _ in _statements(one)) > LOOP_STATEMENTS_MAX:
                    found.append(f"line {loop.lineno}: {function.name}")
    return found


def _statements(node: ast.stmt) -> list[ast.stmt]:
    return [one for one in ast.walk(node) if isinstance(one, ast.stmt)]


def effects(source: str) -> list[str]:
    """What happens when the module is imported, besides definitions: it would not happen again, or twice."""
    return [
        f"line {node.lineno}: {ast.unparse(node)[:60]}"
        for node in scope_of(ast.parse(source).body).rest
        if not isinstance(node, ast.Assert) and "__name__" not in ast.unparse(node)
    ]


def strange_decorators(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function | ast.ClassDef):
            for decorator in node.decorator_list:
                name = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
                attribute = name.rpartition(".")[2] in ("setter", "default", "validator")
                if name not in DECORATORS and not attribute:
                    found.append(f"line {node.lineno}: @{name}")
    return found


@pytest.mark.parametrize("path", _modules(), ids=_name)
def test_a_module_that_may_be_replaced_keeps_to_the_rules(path: Path) -> None:
    source = path.read_text("utf-8")
    assert effects(source) == []
    assert strange_decorators(source) == []
    known = THICK.get(_name(path), ())
    assert [one for one in endless_loops(source) if one.rpartition(" ")[2] not in known] == []


@pytest.mark.parametrize(
    "path", [path for path in _modules() if path.is_relative_to(ROOT / "node")], ids=_name
)
def test_every_function_of_it_is_found_where_it_runs(path: Path) -> None:
    name = _name(path)
    module = importlib.import_module(name)
    source = path.read_text("utf-8")
    old, new = parse(name, source, str(path)), parse(name, f"\n\n{source}", str(path))
    found = compare(old, new)
    assert found.refusals == []
    assert {one.kind for one in found.functions} <= {"moved"}
    assert (found.added, found.removed, found.statements) == ([], [], {})
    for function in found.functions:
        assert find(module, function.name, function.old).function.__code__.co_name


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
    assert len(rule(source)) == 1


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
    assert endless_loops(source) + effects(source) + strange_decorators(source) == []


def test_what_phones_speak_is_not_replaced_in_a_running_node() -> None:
    for module in ("node.wire.waystation", "node.wire.generated"):
        rule = rule_of(module)
        assert rule is not None, module
        assert rule.verdict == "never", module
