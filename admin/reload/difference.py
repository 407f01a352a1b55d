"""Two versions of one module compared: what can be put into a running node, and what can't and why.

Only texts are looked at, so that nothing of a new version has to run to be judged. This module must never know of
other modules: who uses what is `uses`' part.
"""

import ast
import re
from types import CodeType
from typing import Final, Literal, cast

import attrs

from admin.reload.codes import same_code, same_inside
from admin.reload.draft import Added, FunctionChange, MethodAdded, ModuleChange, Refusal, Shape, Statement
from admin.reload.literals import Defaults, defaults_of
from admin.reload.shapes import attributes_of, differ, may_differ
from admin.reload.units import (
    Function,
    Parsed,
    Scope,
    bare,
    bound,
    doc_of,
    loops,
    scope_of,
)

FORWARD: Final = "code_change"
BACK: Final = "code_change_back"
RAN_ALREADY: Final = frozenset(
    ("__init_subclass__", "__set_name__", "__class_getitem__", "__new__", "__prepare__")
)
"""Special methods that had their effect when classes were made, or of which Python keeps a copy elsewhere."""
IDENTITY: Final = frozenset(("__eq__", "__hash__"))
PINNED: Final = re.compile(r"VERSION|FORMAT|(^|_)MAGIC(_|$)")
"""Constants that others rely on beyond this process: peers, phones, files."""
ADDABLE: Final = frozenset(("", "staticmethod", "classmethod", "property"))
PLAIN_DECORATORS: Final = frozenset(
    ("property", "staticmethod", "classmethod", "contextmanager", "asynccontextmanager", "override", "final")
)
"""Decorators that don't read annotations."""

What = Literal["import", "function", "class", "constant"]


@attrs.define
class Comparison:
    """What was found so far."""

    old: Parsed
    new: Parsed
    functions: list[FunctionChange] = attrs.Factory(list)
    added: list[MethodAdded] = attrs.Factory(list)
    removed: list[str] = attrs.Factory(list)
    statements: dict[int, tuple[What, ast.stmt]] = attrs.Factory(dict)  # by line: those that run anew
    constants: list[str] = attrs.Factory(list)  # changed or removed ones
    docs: list[tuple[str, str | None]] = attrs.Factory(list)
    shapes: list[Shape] = attrs.Factory(list)
    refusals: list[Refusal] = attrs.Factory(list)
    notes: list[str] = attrs.Factory(list)

    def refuse(self, name: str, cause: str, remedy: str = "restart the node") -> None:
        self.refusals.append(Refusal(self.new.name, name, cause, remedy))

    def run(self, what: What, statement: ast.stmt) -> None:
        self.statements[statement.lineno] = what, statement

    def change(self, old_version: str, new_version: str) -> ModuleChange:
        future = [
            node
            for node in self.new.tree.body
            if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        ]
        statements = [
            Statement(what, bound(statement), _compiled(statement, list(future), self.new.code), line)
            for line, (what, statement) in sorted(self.statements.items())
        ]
        return ModuleChange(
            name=self.new.name,
            old_version=old_version,
            new_version=new_version,
            functions=tuple(self.functions),
            added=tuple(self.added),
            removed=tuple(self.removed),
            statements=tuple(statements),
            docs=tuple(self.docs),
            shapes=tuple(self.shapes),
            notes=tuple(self.notes),
        )


def _compiled(statement: ast.stmt, future: list[ast.stmt], module: CodeType) -> CodeType:
    """As it stands in its module, lines and all."""
    tree = ast.Module([*future, statement], [])
    return compile(tree, module.co_filename, "exec", dont_inherit=True)


def compare(old: Parsed, new: Parsed) -> Comparison:
    """All differences of a module."""
    found = Comparison(old, new)
    if doc_of(old.tree) != doc_of(new.tree):
        found.docs.append(("", doc_of(new.tree)))
    _compare_kinds(found)
    _compare_functions(found, "", old.scope, new.scope)
    _compare_classes(found, "", old.scope, new.scope)
    _compare_constants(found)
    _compare_imports(found)
    if list(map(ast.dump, old.scope.rest)) != list(map(ast.dump, new.scope.rest)):
        for node in new.scope.rest:
            if not isinstance(node, ast.Assert) and ast.dump(node) not in map(ast.dump, old.scope.rest):
                found.refuse(
                    "", f"line {node.lineno} does something when the module is imported, and it changed"
                )
    return found


def _kinds(scope: Scope) -> dict[str, str]:
    return {
        **dict.fromkeys(scope.imports, "an import"),
        **dict.fromkeys(scope.constants, "a constant"),
        **{name: "a function" for name, _ in scope.functions},
        **{name: "a class" for name, _ in scope.classes},
    }


def _compare_kinds(found: Comparison) -> None:
    before, after = _kinds(found.old.scope), _kinds(found.new.scope)
    for name in before.keys() & after.keys():
        if before[name] != after[name]:
            found.refuse(name, f"it was {before[name]} and is {after[name]} now")


# ---- functions ------------------------------------------------------------------------------------


def _compare_functions(
    found: Comparison, prefix: str, old: Scope, new: Scope, owner: ast.ClassDef | None = None
) -> None:
    for key, before in old.functions.items():
        after = new.functions.get(key)
        if after is not None:
            _compare_function(found, prefix, before, after)
        elif owner is not None and _special(key[0]):
            found.refuse(
                prefix + key[0], "a special method was removed: Python looked for it when the class was made"
            )
        elif key[1]:
            found.refuse(prefix + key[0], "one of several functions of this name was removed")
        else:
            found.removed.append(prefix + key[0])
    for key, after in new.functions.items():
        if key in old.functions:
            continue
        if key[1]:
            found.refuse(prefix + key[0], "another function of this name was added")
        elif owner is None:
            found.run("function", after)
        else:
            _add_method(found, prefix, owner, after)


def _special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _compare_function(found: Comparison, prefix: str, before: Function, after: Function) -> None:
    name = prefix + before.name
    old, new = found.old.code_of(prefix, before), found.new.code_of(prefix, after)
    decorators = [ast.unparse(one) for one in after.decorator_list]
    if [ast.unparse(one) for one in before.decorator_list] != decorators:
        found.refuse(name, "its decorators changed: they ran when the module was imported")
        return
    annotated = _annotations(before) != _annotations(after)
    if annotated and not all(one in PLAIN_DECORATORS for one in decorators):
        found.refuse(
            name, "its annotations changed, which its decorator may have read when the module was imported"
        )
        return
    if old.co_freevars != new.co_freevars:
        found.refuse(name, _free(old, new))
        return
    defaults = Defaults()
    redefaulted = _defaults(before) != _defaults(after)
    if redefaulted:
        try:
            defaults = defaults_of(after)
        except ValueError as error:
            found.refuse(
                name, f"its default values changed, and {error}: they are made when the module is imported"
            )
            return
    body = not same_code(old, new)
    if not (body or redefaulted):
        kind: Literal["changed", "harmless", "moved"] = "harmless" if annotated else "moved"
    else:
        kind = "changed" if redefaulted or bare(before) != bare(after) else "harmless"
    if kind == "changed":
        _special_changes(found, name, before)
        if made := _keeps_old(old, new):
            found.notes.append(f"{name}: what it made and handed out ({made}) keeps its old body")
    found.functions.append(
        FunctionChange(
            name,
            kind,
            old,
            new,
            defaults.values,
            defaults.keywords,
            redefaulted,
            doc_of(after),
            loops(before),
        )
    )


def _special_changes(found: Comparison, name: str, before: Function) -> None:
    last = name.rpartition(".")[2]
    if last in RAN_ALREADY:
        found.refuse(name, "it had its effect when its classes were made")
    if last in IDENTITY:
        found.refuse(name, "live objects stand in dicts and sets by what it said before")


def _free(old: CodeType, new: CodeType) -> str:
    before, after = ", ".join(old.co_freevars) or "none", ", ".join(new.co_freevars) or "none"
    return f"its free variables changed ({before}; now {after}): Python binds them when a function is made"


def _keeps_old(old: CodeType, new: CodeType) -> str:
    return "" if same_inside(old, new) else "nested functions, callbacks"


def _annotations(node: Function) -> list[str]:
    arguments = [
        *node.args.posonlyargs,
        *node.args.args,
        *node.args.kwonlyargs,
        node.args.vararg,
        node.args.kwarg,
    ]
    found = [ast.unparse(one.annotation) if one and one.annotation else "" for one in arguments]
    return [*found, ast.unparse(node.returns) if node.returns else ""]


def _defaults(node: Function) -> list[str]:
    return [ast.dump(one) if one else "" for one in (*node.args.defaults, None, *node.args.kw_defaults)]


def _add_method(found: Comparison, prefix: str, owner: ast.ClassDef, node: Function) -> None:
    name = prefix + node.name
    decorators = [ast.unparse(one) for one in node.decorator_list]
    kind = decorators[0] if decorators else ""
    code = found.new.code_of(prefix, node)
    if _special(node.name):
        found.refuse(name, "a special method was added: Python looked for it when the class was made")
    elif len(decorators) > 1 or kind not in ADDABLE:
        found.refuse(name, f"a method with the decorator {decorators[-1]} was added to a class that exists")
    elif set(code.co_freevars) - {"__class__"}:
        found.refuse(name, "a method with free variables was added to a class that exists")
    else:
        try:
            defaults = defaults_of(node)
        except ValueError as error:
            found.refuse(name, f"a method was added, and {error}")
            return
        found.added.append(
            MethodAdded(
                prefix[:-1],
                node.name,
                cast("Added", kind),
                code,
                defaults.values,
                defaults.keywords,
                doc_of(node),
            )
        )


# ---- classes --------------------------------------------------------------------------------------


def _compare_classes(found: Comparison, prefix: str, old: Scope, new: Scope) -> None:
    for key, before in old.classes.items():
        after = new.classes.get(key)
        if after is None:
            found.refuse(
                prefix + key[0], "the class was removed, or moved elsewhere: live objects may be of it"
            )
        else:
            _compare_class(found, prefix, before, after)
    for key, after in new.classes.items():
        if key not in old.classes:
            if prefix or key[1]:
                found.refuse(prefix + key[0], "a class was added inside of a class, or twice")
            else:
                found.run("class", after)


def _compare_class(found: Comparison, prefix: str, before: ast.ClassDef, after: ast.ClassDef) -> None:
    name = prefix + before.name
    if list(map(ast.dump, before.decorator_list)) != list(map(ast.dump, after.decorator_list)):
        found.refuse(name, "its decorators changed: they ran when the class was made")
    if list(map(ast.dump, (*before.bases, *before.keywords))) != list(
        map(ast.dump, (*after.bases, *after.keywords))
    ):
        found.refuse(name, "its bases changed")
    old, new = scope_of(before.body), scope_of(after.body)
    _compare_bodies(found, name, before, after)
    if doc_of(before) != doc_of(after):
        found.docs.append((name, doc_of(after)))
    _compare_functions(found, f"{name}.", old, new, after)
    _compare_classes(found, f"{name}.", old, new)
    _compare_shapes(found, name, before, after)


def _body(node: ast.ClassDef) -> dict[str, str]:
    """What stands in a class besides methods and documentation: what it is → how it is written."""
    found = {}
    for one in node.body:
        documentation = isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
        if not documentation and not isinstance(one, Function | ast.ClassDef | ast.Pass):
            target = ast.unparse(one).partition("=")[0].partition(":")[0].strip()
            found[target] = ast.dump(one)
    return found


def _compare_bodies(found: Comparison, name: str, before: ast.ClassDef, after: ast.ClassDef) -> None:
    old, new = _body(before), _body(after)
    if old == new and list(old) == list(new):
        return
    differ = sorted({one for one in old.keys() | new.keys() if old.get(one) != new.get(one)})
    if "__slots__" in differ:
        found.refuse(name, "its slots changed: the shape of live objects is fixed when they are made")
    else:
        what = ", ".join(differ) or "their order"
        found.refuse(
            name, f"its body changed ({what}): fields and constants of a class are read when it is made"
        )


def _compare_shapes(found: Comparison, name: str, before: ast.ClassDef, after: ast.ClassDef) -> None:
    """An attribute that `__init__` gives is missing on the objects that live: somebody has to bring them over."""
    was, now = attributes_of(before), attributes_of(after)
    old, new = set(was), set(now)
    both = sorted(old & new)
    kinds = [one for one in both if differ(was[one], now[one])]
    changes = {
        method.name: method
        for method in after.body
        if isinstance(method, Function) and method.name in (FORWARD, BACK)
    }
    forward = changes.get(FORWARD)
    known = {bare(one) for one in before.body if isinstance(one, Function) and one.name == FORWARD}
    fresh = forward is not None and bare(forward) not in known
    if fresh:
        found.shapes.append(Shape(name, tuple(sorted(new - old)), tuple(sorted(old - new)), BACK in changes))
        return
    if unsure := ", ".join(one for one in both if may_differ(was[one], now[one])):
        found.notes.append(
            f"{name}: {unsure} may be of another kind now; objects that live keep what they have"
        )
    if old == new and not kinds:
        return
    differences = [
        *(f"+{one}" for one in sorted(new - old)),
        *(f"-{one}" for one in sorted(old - new)),
        *(f"{one}: {_kinds_of(was[one])} → {_kinds_of(now[one])}" for one in kinds),
    ]
    cause = "its `code_change` is that of an earlier change" if forward else "it has no `code_change`"
    found.refuse(
        name,
        f"the shape of its objects changed ({', '.join(differences)}), and {cause}",
        "write `code_change` (and `code_change_back`), or restart the node",
    )


def _kinds_of(kinds: frozenset[str]) -> str:
    return " or ".join(sorted(kinds))


# ---- constants and imports -------------------------------------------------------------------------


def _compare_constants(found: Comparison) -> None:
    old, new = found.old.scope.constants, found.new.scope.constants
    for name, after in new.items():
        before = old.get(name)
        if before is not None and _value(before) == _value(after):
            continue
        if before is not None:
            if PINNED.search(name):
                found.refuse(name, "a version or format changed that others rely on: peers, phones or files")
                continue
            found.constants.append(name)
            found.notes.append(f"{name}: objects that took its old value over when they were made keep it")
        found.run("constant", after)
    for name in old.keys() - new.keys():
        if name not in _kinds(found.new.scope):
            found.removed.append(name)


def _value(node: ast.stmt) -> str:
    """What an assignment does, without its annotation."""
    if isinstance(node, ast.AnnAssign):
        return ast.dump(ast.Assign([node.target], node.value or ast.Constant(None)))
    return ast.dump(node)


def _compare_imports(found: Comparison) -> None:
    old, new = found.old.scope.imports, found.new.scope.imports
    for name, (target, statement) in new.items():
        before = old.get(name)
        modules = isinstance(statement, ast.Import) and not any(one.asname == name for one in statement.names)
        if before is None or before[0] != target or (modules and ast.dump(before[1]) != ast.dump(statement)):
            found.run("import", statement)
    for name in old.keys() - new.keys():
        if name not in _kinds(found.new.scope):
            found.removed.append(name)
