"""What differs between two versions of our modules, as plain values that can cross from the inspecting process.

Only marshal's types are inside, code objects among them: both processes are the same interpreter. This module must
never know what runs.
"""

import marshal
from types import CodeType
from typing import Any, Literal

import attrs

Kind = Literal["changed", "harmless", "moved"]
"""harmless: documentation or annotations; moved: only its lines."""

Added = Literal["", "staticmethod", "classmethod", "property"]


@attrs.frozen
class Refusal:
    """Why something can't be loaded into a running node, and what to do instead."""

    module: str
    name: str  # "" is the module itself
    cause: str
    remedy: str = "restart the node"


@attrs.frozen
class FunctionChange:
    """A function that stays who it is and gets another body."""

    name: str  # qualified, as `Service.received`
    kind: Kind
    old: CodeType
    new: CodeType
    defaults: tuple[Any, ...] | None  # None with `redefaulted` False: as they are
    keywords: dict[str, Any] | None
    redefaulted: bool
    doc: str | None
    loops: bool  # a run of it may last for ever


@attrs.frozen
class MethodAdded:
    """A new method of a class that exists."""

    owner: str
    name: str
    kind: Added
    code: CodeType
    defaults: tuple[Any, ...] | None
    keywords: dict[str, Any] | None
    doc: str | None


@attrs.frozen
class Statement:
    """A top-level statement that is run in the module as it stands: an import, a constant, a function, a class."""

    what: Literal["import", "function", "class", "constant"]
    names: tuple[str, ...]  # that it binds
    code: CodeType
    line: int


@attrs.frozen
class Shape:
    """Live objects of a class have to be brought over to its new form, by its method `code_change`."""

    owner: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    back: bool  # there is a `code_change_back`


@attrs.frozen
class ModuleChange:
    """One module. `code` is that of a new module, which is run whole."""

    name: str
    old_version: str
    new_version: str
    code: CodeType | None = None
    functions: tuple[FunctionChange, ...] = ()
    added: tuple[MethodAdded, ...] = ()
    removed: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    docs: tuple[tuple[str, str | None], ...] = ()  # (class, or "" for the module; its documentation)
    shapes: tuple[Shape, ...] = ()
    notes: tuple[str, ...] = ()


@attrs.frozen
class Draft:
    """All of it. Modules stand behind those that they import."""

    modules: tuple[ModuleChange, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    outside: tuple[str, ...] = ()  # modules of others that new imports name


def to_bytes(draft: Draft) -> bytes:
    return marshal.dumps(attrs.asdict(draft))


def from_bytes(data: bytes) -> Draft:
    """
    Raises:
        ValueError, EOFError, TypeError, KeyError: it is none.
    """
    plain = marshal.loads(data)  # noqa: S302 - from the process that this one has started
    modules = tuple(_module(one) for one in plain["modules"])
    return Draft(modules, tuple(Refusal(**one) for one in plain["refusals"]), tuple(plain["outside"]))


def _module(plain: dict[str, Any]) -> ModuleChange:
    return ModuleChange(
        **{
            **plain,
            "functions": tuple(FunctionChange(**one) for one in plain["functions"]),
            "added": tuple(MethodAdded(**one) for one in plain["added"]),
            "statements": tuple(Statement(**one) for one in plain["statements"]),
            "shapes": tuple(Shape(**one) for one in plain["shapes"]),
        }
    )
