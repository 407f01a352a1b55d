"""Who uses a name of another module, or of its own, while it is imported: what was made then doesn't change with it.

From the new sources of all our modules; nothing is run. This module must never know what changed in them.
"""

import ast
from collections.abc import Collection, Iterator, Mapping

import attrs

from admin.reload.units import Function, Parsed, only_types

Name = tuple[str, str]
"""(module, name in it)"""


@attrs.frozen
class Use:
    """`calls`: it is called or decorates, not only named. line: where the statement begins that uses it."""

    user: str
    line: int
    what: str
    calls: bool


@attrs.define
class Uses:
    """by_value: who has `from module import name`. at_import: what mentions a name when modules are imported."""

    by_value: dict[Name, list[str]] = attrs.Factory(dict)
    at_import: dict[Name, list[Use]] = attrs.Factory(dict)
    imports: dict[str, set[str]] = attrs.Factory(dict)  # module → modules that it imports


def uses_of(users: Mapping[str, Parsed], ours: Collection[str]) -> Uses:
    """
    Args:
        users: the modules to look into.
        ours: the names of all our modules.
    """
    modules = frozenset(ours)
    found = Uses()
    for name, parsed in users.items():
        scope = parsed.scope
        found.imports[name] = set()
        for target, _ in scope.imports.values():
            source, _, inner = target.partition(":")
            found.imports[name] |= {source, f"{source}.{inner}"} & modules
            if inner and source in modules and f"{source}.{inner}" not in modules:
                found.by_value.setdefault((source, inner), []).append(name)
        for node in ast.walk(parsed.tree):  # `import a.b` binds `a`, and imports both
            if isinstance(node, ast.Import):
                found.imports[name] |= {one.name for one in node.names} & modules
        for statement in parsed.tree.body:
            if isinstance(statement, ast.Import | ast.ImportFrom) or only_types(statement):
                continue
            for expression, calls in _evaluated(statement):
                for mentioned in _names(parsed, expression, modules):
                    use = Use(name, statement.lineno, _called(statement), calls)
                    found.at_import.setdefault(mentioned, []).append(use)
    return found


def _called(statement: ast.stmt) -> str:
    if isinstance(statement, Function | ast.ClassDef):
        return statement.name
    return ast.unparse(statement).partition("=")[0].partition(":")[0].strip()


def _evaluated(statement: ast.stmt) -> Iterator[tuple[ast.expr, bool]]:
    """(expression, whether it is called) of all that runs when the statement does; function bodies don't."""
    if isinstance(statement, Function):
        for decorator in statement.decorator_list:
            yield decorator, True
            yield from _parts(decorator)
        for default in (*statement.args.defaults, *statement.args.kw_defaults):
            if default is not None:
                yield from _parts(default)
    elif isinstance(statement, ast.ClassDef):
        for decorator in statement.decorator_list:
            yield decorator, True
            yield from _parts(decorator)
        for one in (*statement.bases, *(keyword.value for keyword in statement.keywords)):
            yield from _parts(one)
        for inner in statement.body:
            yield from _evaluated(inner)
    elif isinstance(statement, ast.AnnAssign):
        if statement.value is not None:
            yield from _parts(statement.value)
    else:
        yield from _parts(statement)


def _parts(node: ast.AST) -> Iterator[tuple[ast.expr, bool]]:
    """Names and attributes inside; lambdas are bodies that don't run yet."""
    if isinstance(node, ast.Lambda):
        return
    if isinstance(node, ast.Call):
        yield node.func, True
    if isinstance(node, ast.Name | ast.Attribute):
        yield node, False
    for child in ast.iter_child_nodes(node):
        yield from _parts(child)


def _names(parsed: Parsed, node: ast.expr, modules: Collection[str]) -> Iterator[Name]:
    """What of ours an expression is: a name of the module, one that it imports, or one of a module that it imports."""
    if isinstance(node, ast.Call):  # a decorator with arguments
        yield from _names(parsed, node.func, modules)
        return
    if isinstance(node, ast.Name):
        imported = parsed.scope.imports.get(node.id)
        if imported is None:
            yield parsed.name, node.id
        else:
            source, _, inner = imported[0].partition(":")
            if inner and source in modules:
                yield source, inner
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        imported = parsed.scope.imports.get(node.value.id)
        if imported is not None:
            module = imported[0].replace(":", ".")
            if module in modules:
                yield module, node.attr


def in_order(names: set[str], imports: dict[str, set[str]]) -> list[str]:
    """Each behind those of them that it imports, as far as they don't go round."""
    ordered: list[str] = []
    seen: set[str] = set()

    def place(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        for other in sorted(imports.get(name, ())):
            place(other)
        if name in names:
            ordered.append(name)

    for name in sorted(names):
        place(name)
    return ordered
