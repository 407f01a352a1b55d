"""A module's source as the units that may change on their own: imports, functions, classes, constants, and the rest.

Pure reading of syntax trees. This module must never know what another version of the module has.
"""

import ast
import copy
from collections.abc import Iterator
from types import CodeType

import attrs

from admin.reload.codes import codes_of

Function = ast.FunctionDef | ast.AsyncFunctionDef
Key = tuple[str, int]
"""Name, and how many of that name came before: a property and its setter, the `_` of singledispatch."""


@attrs.frozen
class Unit:
    """A function or class, or a constant's or import's statement."""

    name: str
    node: ast.stmt


@attrs.define
class Scope:
    """What stands in a module or in a class, in order."""

    functions: dict[Key, Function] = attrs.Factory(dict)
    classes: dict[Key, ast.ClassDef] = attrs.Factory(dict)
    constants: dict[str, ast.stmt] = attrs.Factory(dict)
    # Bound name → (what it is bound to, statement).
    imports: dict[str, tuple[str, ast.stmt]] = attrs.Factory(dict)
    rest: list[ast.stmt] = attrs.Factory(list)  # whatever else: asserts, loops, calls


@attrs.frozen
class Parsed:
    """A whole module. `codes`: by (qualified name, first line)."""

    name: str
    text: str
    tree: ast.Module
    scope: Scope
    code: CodeType
    codes: dict[Key, CodeType]

    def code_of(self, prefix: str, function: Function) -> CodeType:
        return self.codes[prefix + function.name, first_line(function)]


def parse(name: str, text: str, path: str) -> Parsed:
    """
    Raises:
        SyntaxError, ValueError: it is no Python.
    """
    tree = ast.parse(text, path)
    code = compile(tree, path, "exec", dont_inherit=True)
    return Parsed(name, text, tree, scope_of(tree.body), code, codes_of(code))


def scope_of(body: list[ast.stmt]) -> Scope:
    scope = Scope()
    for node in body:
        if isinstance(node, Function):
            scope.functions[_key(scope.functions, node.name)] = node
        elif isinstance(node, ast.ClassDef):
            scope.classes[_key(scope.classes, node.name)] = node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for bound, target in bindings(node):
                scope.imports[bound] = (target, node)
        elif names := assigned(node):
            for name in names:
                scope.constants[name] = node
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) and not only_types(
            node
        ):
            scope.rest.append(node)
    return scope


def _key(known: dict[Key, Function] | dict[Key, ast.ClassDef], name: str) -> Key:
    return name, sum(other == name for other, _ in known)


def first_line(node: Function | ast.ClassDef) -> int:
    """Where its code object begins: at the first decorator."""
    return min([node.lineno, *(one.lineno for one in node.decorator_list)])


def bindings(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """(bound name, what it is bound to): `module` or `module:name`."""
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, f"{node.module}:{alias.name}"
        elif alias.asname:
            yield alias.asname, alias.name
        else:
            yield alias.name.partition(".")[0], alias.name.partition(".")[0]


def assigned(node: ast.stmt) -> list[str]:
    """The plain names that an assignment binds; none for anything else, or where it binds something other, too."""
    if isinstance(node, ast.AnnAssign):
        targets: list[ast.expr] = [node.target]
    elif isinstance(node, ast.Assign):
        targets = [
            inner
            for target in node.targets
            for inner in (target.elts if isinstance(target, ast.Tuple) else [target])
        ]
    else:
        return []
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    return names if len(names) == len(targets) else []


def bound(node: ast.stmt) -> tuple[str, ...]:
    """The names that a top-level statement binds."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return tuple(name for name, _ in bindings(node))
    return (node.name,) if isinstance(node, Function | ast.ClassDef) else tuple(assigned(node))


def only_types(node: ast.stmt) -> bool:
    """`if TYPE_CHECKING:` runs never."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def doc_of(node: ast.Module | ast.ClassDef | Function) -> str | None:
    return ast.get_docstring(node, clean=False)


class _Bare(ast.NodeTransformer):
    """Takes off what a function does nothing with: documentation and annotations."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: Function) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        if doc_of(node) is not None:
            node.body = node.body[1:]
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        node.annotation = ast.Constant(None)
        return node


def bare(node: Function) -> str:
    """What it does, as text to compare: without lines, documentation and annotations."""
    return ast.dump(_Bare().visit(copy.deepcopy(node)))


def loops(node: Function) -> bool:
    """Whether one run of it may last: it is suspended somewhere, and it goes round."""
    inner = list(ast.walk(node))
    waits = any(
        isinstance(one, ast.Await | ast.Yield | ast.YieldFrom | ast.AsyncWith | ast.AsyncFor) for one in inner
    )
    return waits and any(isinstance(one, ast.While | ast.AsyncFor | ast.For) for one in inner)
