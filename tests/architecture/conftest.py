"""Every module of the project, read and parsed once. A test looks at all of them, and names those that break its rule:
one test for each module would be a third of all tests there are, which costs more than what they do.
"""

import ast
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("admin", "client", "node", "ops", "replication", "store")
LEAST = 700
"""Modules that there are; with less, they were looked for in the wrong place."""


@attrs.frozen
class Module:
    """One file."""

    path: Path
    name: str
    source: str = attrs.field(repr=False)
    tree: ast.Module = attrs.field(repr=False)

    @property
    def place(self) -> str:
        """Where it is, for whoever reads why a test failed."""
        return str(self.path.relative_to(ROOT))

    @property
    def is_init(self) -> bool:
        """Whether it is a package's own."""
        return self.path.name == "__init__.py"


def read(path: Path) -> Module:
    """A file, as a module."""
    source = path.read_text("utf-8")
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(path, name, source, ast.parse(source))


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """All of them, but tests."""
    found = [read(path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(found) >= LEAST
    return found
