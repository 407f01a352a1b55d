"""What new code asks for and isn't there: importing a module runs no function, and so doesn't find it.

Looked at are the names that function bodies take from their module, what they take of other modules, and what they
import. Nothing is imported for it: a finder says whether a module is there. An import that stands in a `try` which
takes its failure may fail. This module must never know what changed.
"""

import ast
import builtins
import dis
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

import attrs

from admin.reload.units import Function, Parsed, bound, only_types, parse

CAUGHT: Final = frozenset(("ImportError", "ModuleNotFoundError", "Exception", "BaseException"))
"""A `try` that catches one of these is ready for a module that isn't there."""
MAKES_NAMES: Final = ("import *", "__getattr__", "globals()")
"""Where one of these stands in a text, it doesn't say which names a module has."""


@attrs.frozen
class Ours:
    """All our modules. imported: those that are looked at, as they are after their import."""

    texts: Mapping[str, str]
    paths: Mapping[str, str]
    imported: Mapping[str, ModuleType]

    def is_ours(self, name: str) -> bool:
        return name.partition(".")[0] in {one.partition(".")[0] for one in self.texts}


def missing_names(code: CodeType, parsed: Parsed, module: ModuleType) -> Iterator[str]:
    """Why names in a code, and in those inside of it, lead nowhere.

    Args:
        module: the new version, after its import.
    """
    space = vars(module)
    known = space.keys() | vars(builtins).keys()
    for name, attribute in sorted(_globals(code)):
        holder = space.get(name)
        if name not in known:
            if name not in _set_by_functions(parsed.code):
                yield f"`{name}` is defined nowhere"
        elif attribute and isinstance(holder, ModuleType) and not hasattr(holder, attribute):
            yield f"the module `{name}` has no `{attribute}`"


def _globals(code: CodeType) -> set[tuple[str, str]]:
    """(global name, the attribute that is taken of it, or "")"""
    instructions = list(dis.get_instructions(code))
    names = {
        (one.argval, after.argval if after.opname in ("LOAD_ATTR", "LOAD_METHOD") else "")
        for one, after in zip(instructions, [*instructions[1:], instructions[-1]], strict=True)
        if one.opname == "LOAD_GLOBAL"
    }
    return names.union(*map(_globals, _codes(code)))


def _set_by_functions(code: CodeType) -> set[str]:
    """Names that a function makes in its module, by `global`."""
    names = {one.argval for one in dis.get_instructions(code) if one.opname == "STORE_GLOBAL"}
    return names.union(*map(_set_by_functions, _codes(code)))


def _codes(code: CodeType) -> Iterator[CodeType]:
    return (one for one in code.co_consts if isinstance(one, CodeType))


def missing_imports(node: ast.AST, user: Parsed, ours: Ours) -> Iterator[str]:
    """Why imports in the functions of a statement would fail."""
    package = user.name if user.code.co_filename.endswith("/__init__.py") else user.name.rpartition(".")[0]
    for one in _imports(node, inside=isinstance(node, Function)):
        if isinstance(one, ast.Import):
            for alias in one.names:
                if not _is_there(alias.name, ours):
                    yield f"line {one.lineno} imports `{alias.name}`, which is not there"
            continue
        try:
            source = importlib.util.resolve_name("." * one.level + (one.module or ""), package)
        except ImportError as error:  # too many dots
            yield f"line {one.lineno}: {error}"
            continue
        if not _is_there(source, ours):
            yield f"line {one.lineno} imports `{source}`, which is not there"
            continue
        for alias in one.names:
            if not _has(source, alias.name, ours):
                yield f"line {one.lineno} imports `{alias.name}` of `{source}`, which has none"


def _imports(node: ast.AST, *, inside: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Of function bodies; those outside of them ran when the module was imported."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        if inside:
            yield node
        return
    if isinstance(node, ast.stmt) and only_types(node):
        return
    if isinstance(node, ast.Try) and any(map(_takes_it, node.handlers)):
        children: Iterable[ast.AST] = (*node.handlers, *node.orelse, *node.finalbody)
    else:
        children = ast.iter_child_nodes(node)
    for child in children:
        yield from _imports(child, inside=inside or isinstance(node, Function))


def _takes_it(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in CAUGHT) for kind in kinds)


def _is_there(name: str, ours: Ours) -> bool:
    return name in ours.texts if ours.is_ours(name) else name in sys.modules or _spec(name) is not None


def _spec(name: str) -> ModuleSpec | None:
    """Without importing what it is in, as `importlib.util.find_spec` would."""
    first, *rest = name.split(".")
    if first in sys.modules and not rest:
        return getattr(sys.modules[first], "__spec__", None)
    spec = importlib.util.find_spec(first) if first not in sys.modules else sys.modules[first].__spec__
    for cut in range(len(rest)):
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(".".join((first, *rest[: cut + 1])), spec.submodule_search_locations)
    return spec


def _has(source: str, name: str, ours: Ours) -> bool:
    """Whether `from source import name` finds something; also if that can't be known."""
    if name == "*":
        return True
    if ours.is_ours(source):
        if f"{source}.{name}" in ours.texts:
            return True
        if source in ours.imported:
            return hasattr(ours.imported[source], name)
        return _may_bind(ours.texts[source], name, source, ours.paths[source])
    if source in sys.modules and hasattr(sys.modules[source], name):
        return True
    if f"{source}.{name}" in sys.modules or _spec(f"{source}.{name}") is not None:
        return True
    if source in sys.modules:
        return False
    spec = _spec(source)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return True
    try:
        text = Path(spec.origin).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return True
    return name in text or any(one in text for one in MAKES_NAMES)


def _may_bind(text: str, name: str, module: str, path: str) -> bool:
    """Whether a module that isn't imported has a name, as far as its text says."""
    if any(one in text for one in MAKES_NAMES):
        return True
    try:
        parsed = parse(module, text, path)
    except (SyntaxError, ValueError):
        return False
    return bool(parsed.scope.rest) or any(name in bound(statement) for statement in parsed.tree.body)
