"""The import direction: left may import right, never back; and nothing else of ours is imported anywhere."""

import ast

import pytest

from tests.architecture.conftest import ROOT, Module

ORDER = ("ops", "admin", "node", "replication", "store")
"""A package may import itself and what stands to its right."""

ALLOWED = {package: set(ORDER[place:]) for place, package in enumerate(ORDER)}
ALLOWED["client"] = {"client", "node.wire"}
ALLOWED["node.wire"] = {"node.wire"}
# The composition root puts the client and the node together: chat, benchmarks, fault runs.
ALLOWED["ops"] = ALLOWED["ops"] | {"client"}

OURS = {"ops", "admin", "node", "replication", "store", "client", "tests"}


def _owner(module: Module) -> str:
    parts = module.path.relative_to(ROOT).with_suffix("").parts
    return "node.wire" if parts[:2] == ("node", "wire") else parts[0]


def _imported(tree: ast.AST) -> list[tuple[int, str]]:
    """(line, dotted name) of every import, those inside functions too."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide what is imported"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def violations(tree: ast.Module, owner: str) -> list[str]:
    """What a module of `owner` imports against the direction."""
    found = []
    for line, name in _imported(tree):
        if name.split(".")[0] in OURS and not any(
            name == allowed or name.startswith(f"{allowed}.") for allowed in ALLOWED[owner]
        ):
            found.append(f"line {line}: {owner} imports {name}")
    return found


def test_imports_go_one_way(modules: list[Module]) -> None:
    assert {one.path.relative_to(ROOT).parts[0] for one in modules} == {*ORDER, "client"}
    found = {one.place: violations(one.tree, _owner(one)) for one in modules}
    assert {place: lines for place, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("owner", "source"),
    [
        ("store", "import replication.claim"),
        ("store", "from node.mail import pair"),
        ("replication", "from node import service"),
        ("node", "import admin"),
        ("node", "def f():\n    from client import core"),
        ("node.wire", "from node.hub import hub"),
        ("client", "from node.mail import pair"),
        ("client", "import store.keys"),
        ("admin", "import ops.config"),
    ],
)
def test_a_wrong_import_is_found(owner: str, source: str) -> None:
    assert len(violations(ast.parse(source), owner)) == 1


@pytest.mark.parametrize(
    ("owner", "source"),
    [
        ("ops", "from node.service import Service\nfrom client.client import Client"),
        ("node", "from replication.placement import Placement\nfrom store import keys"),
        ("client", "from node.wire.codec import encode"),
        ("store", "import store.keys\nimport lmdb"),
    ],
)
def test_a_right_import_is_not(owner: str, source: str) -> None:
    assert violations(ast.parse(source), owner) == []
