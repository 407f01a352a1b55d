"""What every part of the project owes its readers."""

import ast
import tomllib

import pytest

from tests.architecture.conftest import PACKAGES, ROOT, Module

LINES_MAX = 450
DOCSTRING_MIN = 15
MUTABLE = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)
MUTABLE_CALLS = frozenset(
    {"dict", "list", "set", "bytearray", "deque", "defaultdict", "Counter", "OrderedDict", "ChainMap"}
)


def test_a_module_says_what_it_is_for(modules: list[Module]) -> None:
    docstrings = {one.place: ast.get_docstring(one.tree) or "" for one in modules}
    short = [place for place, docstring in docstrings.items() if len(docstring) < DOCSTRING_MIN]
    assert short == []
    assert [place for place, found in docstrings.items() if found.lower().startswith("placeholder")] == []


def test_an_init_is_only_a_map(modules: list[Module]) -> None:
    inits = [one for one in modules if one.is_init]
    assert inits
    more = [one.place for one in inits if len(one.tree.body) != 1]
    assert more == [], "re-exports would leave stale names behind when code is reloaded"


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_a_package_says_why_it_is_as_it_is(package: str) -> None:
    assert (ROOT / package / "DESIGN.md").is_file()


def test_a_module_has_one_idea(modules: list[Module]) -> None:
    lines = {one.place: len(one.source.splitlines()) for one in modules if one.path.name != "generated.py"}
    assert {place: count for place, count in lines.items() if count > LINES_MAX} == {}


def mutable_globals(tree: ast.Module) -> list[str]:
    """What a module could keep state in: `global`, and dicts, lists and sets that its own names hold."""
    found = [f"line {node.lineno}: `global`" for node in ast.walk(tree) if isinstance(node, ast.Global)]
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        names = node.targets if isinstance(node, ast.Assign) else [node.target]
        value = node.value
        called = value.func if isinstance(value, ast.Call) else None
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
        if isinstance(value, MUTABLE) or name in MUTABLE_CALLS:
            found.append(f"line {node.lineno}: {ast.unparse(names[0])} can be changed")
    return found


def test_no_module_holds_mutable_globals(modules: list[Module]) -> None:
    """State in modules would be lost, or kept twice, when code is replaced in a running node.

    Tables that never change are a `MappingProxyType`, a tuple or a frozenset, and can be seen not to be state.
    """
    found = {one.place: mutable_globals(one.tree) for one in modules}
    assert {place: lines for place, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        "SEEN = {}",
        "SEEN: dict[int, int] = {1: 2}",
        "SEEN: Final = []",
        "SEEN = {n for n in range(3)}",
        "SEEN = dict(a=1)",
        "SEEN = collections.defaultdict(int)",
        "def f():\n    global seen\n    seen = 1",
    ],
)
def test_a_mutable_global_is_found(source: str) -> None:
    assert len(mutable_globals(ast.parse(source))) == 1


@pytest.mark.parametrize(
    "source",
    ["SEEN = MappingProxyType({1: 2})", "SEEN = (1,)", "SEEN = frozenset({1})", "def f():\n    x = []"],
)
def test_what_cannot_change_is_no_mutable_global(source: str) -> None:
    assert mutable_globals(ast.parse(source)) == []


def test_what_is_installed_is_locked() -> None:
    """Every direct dependency is in the lock that `make` installs from, with hashes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lock = (ROOT / "requirements.lock").read_text("utf-8").lower()
    for requirement in project["project"]["dependencies"]:
        name = requirement.split(">")[0].split("=")[0].split("<")[0].strip().lower()
        assert f"\n{name}==" in f"\n{lock}", f"{name}: run `make lock`"
    pinned = [line for line in lock.splitlines() if "==" in line and not line.startswith((" ", "#"))]
    assert lock.count("--hash=") >= len(pinned)
