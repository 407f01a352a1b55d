"""What every part of the project owes its readers."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("admin", "client", "node", "ops", "replication", "store")
LINES_MAX = 450
DOCSTRING_MIN = 15
MUTABLE = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)
MUTABLE_CALLS = frozenset(
    {"dict", "list", "set", "bytearray", "deque", "defaultdict", "Counter", "OrderedDict", "ChainMap"}
)


def _modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    assert len(docstring) >= DOCSTRING_MIN
    assert not docstring.lower().startswith("placeholder")


@pytest.mark.parametrize("path", [p for p in _modules() if p.name == "__init__.py"], ids=str)
def test_an_init_is_only_a_map(path: Path) -> None:
    body = ast.parse(path.read_text("utf-8")).body
    assert len(body) == 1, "re-exports would leave stale names behind when code is reloaded"


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_a_package_says_why_it_is_as_it_is(package: str) -> None:
    assert (ROOT / package / "DESIGN.md").is_file()


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_has_one_idea(path: Path) -> None:
    if path.name != "generated.py":
        assert len(path.read_text("utf-8").splitlines()) <= LINES_MAX


def mutable_globals(source: str) -> list[str]:
    """What a module could keep state in: `global`, and dicts, lists and sets that its own names hold."""
    tree = ast.parse(source)
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


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_holds_mutable_globals(path: Path) -> None:
    """State in modules would be lost, or kept twice, when code is replaced in a running node.

    Tables that never change are a `MappingProxyType`, a tuple or a frozenset, and can be seen not to be state.
    """
    assert mutable_globals(path.read_text("utf-8")) == []


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
    assert len(mutable_globals(source)) == 1


@pytest.mark.parametrize(
    "source",
    ["SEEN = MappingProxyType({1: 2})", "SEEN = (1,)", "SEEN = frozenset({1})", "def f():\n    x = []"],
)
def test_what_cannot_change_is_no_mutable_global(source: str) -> None:
    assert mutable_globals(source) == []


def test_what_is_installed_is_locked() -> None:
    """Every direct dependency is in the lock that `make` installs from, with hashes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lock = (ROOT / "requirements.lock").read_text("utf-8").lower()
    for requirement in project["project"]["dependencies"]:
        name = requirement.split(">")[0].split("=")[0].split("<")[0].strip().lower()
        assert f"\n{name}==" in f"\n{lock}", f"{name}: run `make lock`"
    pinned = [line for line in lock.splitlines() if "==" in line and not line.startswith((" ", "#"))]
    assert lock.count("--hash=") >= len(pinned)
