"""What `__init__` gives every object of a class, and of what kind: as far as its text says so.

Pure reading of syntax trees. This module must never know what another version of the class has.
"""

import ast
from collections.abc import Iterator
from typing import Final

from admin.reload.units import Function

UNKNOWN: Final = "?"
"""The text doesn't say: an argument, an attribute, what a function gives."""
CONTAINERS: Final = frozenset(
    [
        "list",
        "dict",
        "set",
        "frozenset",
        "tuple",
        "deque",
        "bytearray",
        "Counter",
        "defaultdict",
        "OrderedDict",
    ]
)


def attributes_of(node: ast.ClassDef) -> dict[str, frozenset[str]]:
    """The attributes that `__init__` sets, itself or by methods of the same class that it calls → their kinds."""
    methods = {one.name: one for one in node.body if isinstance(one, Function)}
    found: dict[str, frozenset[str]] = {}
    to_do, seen = ["__init__"], set[str]()
    while to_do:
        name = to_do.pop()
        method = methods.get(name)
        if name in seen or method is None or not method.args.args:
            continue
        seen.add(name)
        me = method.args.args[0].arg
        for attribute, kind in _sets(method, me):
            found[attribute] = found.get(attribute, frozenset()) | {kind}
        to_do += _calls(method, me)
    return found


def _sets(method: Function, me: str) -> Iterator[tuple[str, str]]:
    kinds: dict[int, str] = {}  # by the target's place in the tree
    for one in ast.walk(method):
        if isinstance(one, ast.Assign):
            kinds.update((id(target), kind_of(one.value)) for target in one.targets)
        elif isinstance(one, ast.AnnAssign) and one.value is not None:
            kinds[id(one.target)] = kind_of(one.value)
    for one in ast.walk(method):
        if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store) and _is(one.value, me):
            yield one.attr, kinds.get(id(one), UNKNOWN)


def _calls(method: Function, me: str) -> list[str]:
    return [
        one.func.attr
        for one in ast.walk(method)
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and _is(one.func.value, me)
    ]


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def kind_of(value: ast.expr) -> str:
    """A type's name, as far as it stands there; UNKNOWN."""
    match value:
        case ast.Constant(value=constant):
            return "number" if type(constant) in (int, float) else type(constant).__name__
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
            return "number"
        case ast.List() | ast.ListComp():
            return "list"
        case ast.Dict() | ast.DictComp():
            return "dict"
        case ast.Set() | ast.SetComp():
            return "set"
        case ast.Tuple():
            return "tuple"
        case ast.JoinedStr():
            return "str"
        case ast.Call(func=function):
            return _made_by(function)
        case _:
            return UNKNOWN


def _made_by(function: ast.expr) -> str:
    """By a call: of a class, if it is written like one."""
    if isinstance(function, ast.Subscript):  # dict[str, int]()
        function = function.value
    last = ast.unparse(function).rpartition(".")[2]
    return last if last in CONTAINERS or last[:1].isupper() else UNKNOWN


def differ(old: frozenset[str], new: frozenset[str]) -> bool:
    """Whether a new object's attribute is surely of a kind that an old one's may not have."""
    return UNKNOWN not in old | new and old != new


def may_differ(old: frozenset[str], new: frozenset[str]) -> bool:
    """Whether it may be, and the text doesn't say."""
    return UNKNOWN in old | new and old != new
