"""The process that looks at a new version before the node does: compiles it, imports it, compares it.

It is a process of its own so that nothing of the new code runs in the node before all of it is known to load, and so
that compiling, which holds the interpreter for long, holds up no phone. Talks marshal on stdin and stdout. This
module must never know what runs in the node: only texts come in.
"""

import builtins
import dis
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import marshal
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from types import CodeType, ModuleType
from typing import Any, Final

from admin.reload.difference import Comparison, compare
from admin.reload.draft import Draft, ModuleChange, Refusal, to_bytes
from admin.reload.units import Parsed, parse
from admin.reload.uses import Use, Uses, in_order, uses_of

NICENESS: Final = 10
FIX: Final = "mend it, and plan again"


Importing = Callable[[str], ModuleType]


class Texts(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports our modules from the texts that were read, whatever lies on disk by now, compiled files included."""

    def __init__(self, parsed: Mapping[str, Parsed], paths: Mapping[str, str]) -> None:
        self._parsed = parsed
        self._paths = paths

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._parsed:
            return None
        file = self._paths[fullname]
        places = [file.rpartition("/")[0]] if file.endswith("/__init__.py") else None
        return importlib.util.spec_from_file_location(
            fullname, file, loader=self, submodule_search_locations=places
        )

    def exec_module(self, module: ModuleType) -> None:
        exec(self._parsed[module.__name__].code, vars(module))  # noqa: S102 - to see whether it can be


def import_texts(parsed: Mapping[str, Parsed], paths: Mapping[str, str]) -> Importing:
    """For a process of its own: from here on our modules are those."""
    sys.meta_path.insert(0, Texts(parsed, paths))
    return importlib.import_module


def inspect(
    request: dict[str, Any],
    importing: Callable[[Mapping[str, Parsed], Mapping[str, str]], Importing] = import_texts,
) -> Draft:
    """
    Args:
        request: old, new: module → text, of all our modules; paths: module → file, for tracebacks; versions: module →
            (old, new); changed: modules that run and differ; loaded: all of ours that run.
    """
    parsed, refusals = _parse_all(request["new"], request["paths"], set(request["loaded"]))
    if refusals:
        return Draft(refusals=refusals)
    modules = _import_all(request["loaded"], importing(parsed, request["paths"]))
    if isinstance(modules, Refusal):
        return Draft(refusals=(modules,))
    uses = uses_of(parsed)
    changed = set(request["changed"])
    fresh = _reached(changed, uses) - set(request["loaded"])
    found = {}
    for name in sorted(changed):
        old = parse(name, request["old"][name], request["paths"][name])
        found[name] = compare(old, parsed[name])
    for name, one in found.items():
        _cross(one, found, fresh, uses)
        one.refusals += _missing(one, modules[name])
    changes = []
    for name in in_order(changed | fresh, uses.imports):
        old_version, new_version = request["versions"][name]
        if name in found:
            changes.append(found[name].change(old_version, new_version))
        else:
            changes.append(ModuleChange(name, "", new_version, code=parsed[name].code))
    return Draft(
        tuple(changes),
        tuple(refusal for one in found.values() for refusal in one.refusals),
        tuple(sorted(_outside(parsed, changed | fresh))),
    )


def _parse_all(
    texts: dict[str, str], paths: dict[str, str], needed: set[str]
) -> tuple[dict[str, Parsed], tuple[Refusal, ...]]:
    parsed: dict[str, Parsed] = {}
    refusals = []
    for name, text in texts.items():
        try:
            parsed[name] = parse(name, text, paths[name])
        except (SyntaxError, ValueError) as error:
            line = f"line {error.lineno}: " if isinstance(error, SyntaxError) else ""
            what = error.msg if isinstance(error, SyntaxError) else str(error)
            refusals.append(Refusal(name, "", f"it doesn't compile: {line}{what}", FIX))
    return parsed, tuple(refusals)


def _import_all(names: list[str], importing: Importing) -> dict[str, ModuleType] | Refusal:
    modules = {}
    for name in names:
        try:
            modules[name] = importing(name)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the node could not start with it either
            last = traceback.extract_tb(error.__traceback__)[-1:]
            at = f" ({last[0].filename}, line {last[0].lineno})" if last else ""
            return Refusal(name, "", f"it can't be imported: {type(error).__name__}: {error}{at}", FIX)
    return modules


def _reached(changed: set[str], uses: Uses) -> set[str]:
    reached: set[str] = set()
    left = list(changed)
    while left:
        name = left.pop()
        if name not in reached:
            reached.add(name)
            packages = [name.rsplit(".", cut)[0] for cut in range(1, name.count(".") + 1)]
            left += [one for one in (*packages, *uses.imports.get(name, ())) if one in uses.imports]
    return reached


def _cross(one: Comparison, found: dict[str, Comparison], fresh: set[str], uses: Uses) -> None:
    """What others took from the module when they were imported doesn't change with it."""
    module = one.new.name

    def stale(use: Use) -> bool:
        return use.user not in fresh and (use.user not in found or use.line not in found[use.user].statements)

    for name in one.constants:
        if holders := uses.by_value.get((module, name)):
            one.refuse(name, f"its value was imported by {_few(holders)}, which would go on with the old one")
            continue
        users = [use for use in uses.at_import.get((module, name), ()) if stale(use)]
        if users:
            one.refuse(name, f"it went into what was made at import: {_few([_shown(use) for use in users])}")
    for function in one.functions:
        if function.kind == "changed" and "." not in function.name:
            users = [
                use for use in uses.at_import.get((module, function.name), ()) if use.calls and stale(use)
            ]
            if users:
                what = _few([_shown(use) for use in users])
                one.refuse(function.name, f"it was called when modules were imported, and made: {what}")


def _shown(use: Use) -> str:
    return f"{use.user}.{use.what}"


def _few(names: list[str]) -> str:
    shown = sorted(set(names))
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    return ", ".join(shown[:3]) + more


def _missing(one: Comparison, module: ModuleType) -> list[Refusal]:
    """Names in changed functions that nothing defines: importing a module doesn't find them."""
    known = vars(module).keys() | vars(builtins).keys()
    found = []
    for change in one.functions:
        if change.kind != "changed":
            continue
        for name, attribute in sorted(_globals(change.new)):
            holder = vars(module).get(name)
            if name not in known:
                found.append(Refusal(one.new.name, change.name, f"`{name}` is defined nowhere", FIX))
            elif attribute and isinstance(holder, ModuleType) and not hasattr(holder, attribute):
                cause = f"the module `{name}` has no `{attribute}`"
                found.append(Refusal(one.new.name, change.name, cause, FIX))
    return found


def _globals(code: CodeType) -> set[tuple[str, str]]:
    """(global name, the attribute that is taken of it, or "")"""
    instructions = list(dis.get_instructions(code))
    names = {
        (one.argval, after.argval if after.opname in ("LOAD_ATTR", "LOAD_METHOD") else "")
        for one, after in zip(instructions, [*instructions[1:], instructions[-1]], strict=True)
        if one.opname == "LOAD_GLOBAL"
    }
    return names.union(*map(_globals, _codes(code)))


def _codes(code: CodeType) -> Iterator[CodeType]:
    return (one for one in code.co_consts if isinstance(one, CodeType))


def _outside(parsed: dict[str, Parsed], names: set[str]) -> set[str]:
    return {
        target.partition(":")[0]
        for name in names
        for target, _ in parsed[name].scope.imports.values()
        if target.partition(":")[0] not in parsed and target.partition(":")[0] != "__future__"
    }


def main() -> None:
    """Read a request, write a draft."""
    os.nice(NICENESS)
    with redirect_stdout(sys.stderr):
        draft = inspect(marshal.load(sys.stdin.buffer))  # noqa: S302 - from the node that has started this process
    sys.stdout.buffer.write(to_bytes(draft))
    sys.stdout.buffer.flush()
