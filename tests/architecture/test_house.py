"""What every part of the project owes its readers."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("admin", "client", "node", "ops", "replication", "store")
LINES_MAX = 450


def _modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize("path", [p for p in _modules() if p.name == "__init__.py"], ids=str)
def test_an_init_is_only_a_map(path: Path) -> None:
    body = ast.parse(path.read_text("utf-8")).body
    assert len(body) == 1, "re-exports would leave stale names behind when code is reloaded"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_why_it_is_as_it_is(package: str) -> None:
    assert (ROOT / package / "DESIGN.md").is_file()


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_has_one_idea(path: Path) -> None:
    if path.name != "generated.py":
        assert len(path.read_text("utf-8").splitlines()) <= LINES_MAX


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_holds_mutable_globals(path: Path) -> None:
    """State in modules would be lost, or kept twice, when code is replaced in a running node."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        assert not isinstance(node, ast.Global), f"line {node.lineno}: `global`"


def test_what_is_installed_is_locked() -> None:
    """Every direct dependency is in the lock that `make` installs from, with hashes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lock = (ROOT / "requirements.lock").read_text("utf-8").lower()
    for requirement in project["project"]["dependencies"]:
        name = requirement.split(">")[0].split("=")[0].split("<")[0].strip().lower()
        assert f"\n{name}==" in f"\n{lock}", f"{name}: run `make lock`"
    pinned = [line for line in lock.splitlines() if "==" in line and not line.startswith((" ", "#"))]
    assert lock.count("--hash=") >= len(pinned)
