"""The process that looks at a new version before the node does: compiles it, imports it, compares it.

It is a process of its own so that nothing of the new code runs in the node before all of it is known to load, and so
that compiling, which holds the interpreter for long, holds up no phone. Talks marshal on stdin and stdout. This
module must never know what runs in the node: only texts come in.
"""

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import marshal
import os
import re
import sys
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from admin.reload.difference import Comparison, compare
from admin.reload.draft import Draft, ModuleChange, Refusal, to_bytes
from admin.reload.missing import Ours, missing_imports, missing_names
from admin.reload.units import Function, Parsed, bound, first_line, parse
from admin.reload.uses import Use, Uses, in_order, uses_of

NICENESS: Final = 10
OWN: Final = Path(__file__).resolve().parents[2]
FIX: Final = "mend it, and plan again"


Importing = Callable[[str], ModuleType]


class Texts(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports our modules from the texts that were read, whatever lies on disk by now.

    A text that is the same as in this process's own place is left to Python, which has it compiled.
    """

    def __init__(
        self, texts: Mapping[str, str], parsed: Mapping[str, Parsed], paths: Mapping[str, str]
    ) -> None:
        self._texts = texts
        self._parsed = parsed
        self._paths = paths

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._texts:
            return None
        file = self._paths[fullname]
        package = file.endswith("/__init__.py")
        if fullname not in self._parsed:
            own = OWN.joinpath(*fullname.split("."), *(["__init__.py"] if package else []))
            own = own if package else own.with_suffix(".py")
            if own.is_file() and own.read_bytes() == self._texts[fullname].encode():
                return None
        places = [file.rpartition("/")[0]] if package else None
        return importlib.util.spec_from_file_location(
            fullname, file, loader=self, submodule_search_locations=places
        )

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        parsed = self._parsed.get(name)
        code = (
            parsed.code
            if parsed
            else compile(self._texts[name], self._paths[name], "exec", dont_inherit=True)
        )
        exec(code, vars(module))  # noqa: S102 - to see whether it can be


def import_texts(
    texts: Mapping[str, str], parsed: Mapping[str, Parsed], paths: Mapping[str, str]
) -> Importing:
    """For a process of its own: from here on our modules are those."""
    sys.meta_path.insert(0, Texts(texts, parsed, paths))
    return importlib.import_module


def inspect(
    request: dict[str, Any],
    importing: Callable[
        [Mapping[str, str], Mapping[str, Parsed], Mapping[str, str]], Importing
    ] = import_texts,
) -> Draft:
    """
    Args:
        request: new: module → text, of all our modules; old: those that run, of the changed ones; paths: module →
            file, for tracebacks; versions: module → (old, new); changed: modules that run and differ; loaded: all of
            ours that run.
    """
    texts, paths = request["new"], request["paths"]
    changed, loaded = set(request["changed"]), set(request["loaded"])
    try:
        parsed = _parse_reached(texts, paths, changed, loaded)
    except _BrokenTexts as broken:
        return Draft(refusals=broken.refusals)
    fresh = parsed.keys() - loaded
    modules = _import_all([*request["loaded"], *sorted(fresh)], importing(texts, parsed, paths))
    if isinstance(modules, Refusal):
        return Draft(refusals=(modules,))
    found = {
        name: compare(parse(name, request["old"][name], paths[name]), parsed[name])
        for name in sorted(changed)
    }
    ours = Ours(texts, paths, modules)
    uses = uses_of({**_users(texts, paths, found, loaded - changed), **parsed}, texts.keys())
    for name, one in found.items():
        _cross(one, found, fresh, uses)
        one.refusals += _missing(one, modules[name], ours)
    unfit = [
        refusal for name in sorted(fresh) for refusal in _missing_in_new(parsed[name], modules[name], ours)
    ]
    changes = []
    for name in in_order(set(parsed), uses.imports):
        old_version, new_version = request["versions"][name]
        if name in found:
            changes.append(found[name].change(old_version, new_version))
        else:
            changes.append(ModuleChange(name, "", new_version, code=parsed[name].code))
    return Draft(
        tuple(changes),
        (*(refusal for one in found.values() for refusal in one.refusals), *unfit),
        tuple(sorted(_outside(parsed, texts))),
    )


class _BrokenTexts(Exception):
    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        super().__init__()
        self.refusals = refusals


def _parse_reached(
    texts: Mapping[str, str], paths: Mapping[str, str], changed: set[str], loaded: set[str]
) -> dict[str, Parsed]:
    """The changed modules, and those that they would import for the first time.

    Raises:
        _BrokenTexts
    """
    parsed: dict[str, Parsed] = {}
    refusals = []
    left = sorted(changed)
    seen = set(left)
    while left:
        name = left.pop()
        try:
            parsed[name] = parse(name, texts[name], paths[name])
        except (SyntaxError, ValueError) as error:
            line = f"line {error.lineno}: " if isinstance(error, SyntaxError) else ""
            what = error.msg if isinstance(error, SyntaxError) else str(error)
            refusals.append(Refusal(name, "", f"it doesn't compile: {line}{what}", FIX))
            continue
        imported = uses_of({name: parsed[name]}, texts.keys()).imports[name]
        packages = {one.rsplit(".", cut)[0] for one in imported for cut in range(1, one.count(".") + 1)}
        fresh = ((imported | packages) & texts.keys()) - loaded - seen
        seen |= fresh
        left += sorted(fresh)
    if refusals:
        raise _BrokenTexts(tuple(refusals))
    return parsed


def _users(
    texts: Mapping[str, str], paths: Mapping[str, str], found: Mapping[str, Comparison], names: set[str]
) -> dict[str, Parsed]:
    """The unchanged modules that may use what changed: those in whose texts the names stand."""
    wanted = {name for one in found.values() for name in one.constants}
    wanted |= {
        function.name
        for one in found.values()
        for function in one.functions
        if function.kind == "changed" and "." not in function.name
    }
    if not wanted:
        return {}
    mentions = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(wanted)))})\b")
    return {name: parse(name, texts[name], paths[name]) for name in names if mentions.search(texts[name])}


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


def _cross(one: Comparison, found: dict[str, Comparison], fresh: Collection[str], uses: Uses) -> None:
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


def _missing(one: Comparison, module: ModuleType, ours: Ours) -> list[Refusal]:
    """What changed and added functions ask for and isn't there."""
    new = one.new
    bodies = {
        (node.name, first_line(node)): node for node in ast.walk(new.tree) if isinstance(node, Function)
    }
    codes = [
        *((change.name, change.new) for change in one.functions if change.kind == "changed"),
        *((f"{method.owner}.{method.name}", method.code) for method in one.added),
    ]
    nodes: list[tuple[str, ast.AST]] = [
        (name, bodies[code.co_name, code.co_firstlineno]) for name, code in codes
    ]
    for what, statement in one.statements.values():
        if what != "import":
            name = ", ".join(bound(statement))
            whole = ast.Module([statement], [])
            codes.append((name, compile(whole, new.code.co_filename, "exec", dont_inherit=True)))
            nodes.append((name, statement))
    return [
        Refusal(new.name, name, cause, FIX)
        for name, causes in (
            *((name, missing_names(code, new, module)) for name, code in codes),
            *((name, missing_imports(node, new, ours)) for name, node in nodes),
        )
        for cause in causes
    ]


def _missing_in_new(parsed: Parsed, module: ModuleType, ours: Ours) -> list[Refusal]:
    """The same, of a module that the node hasn't imported yet."""
    causes = (*missing_names(parsed.code, parsed, module), *missing_imports(parsed.tree, parsed, ours))
    return [Refusal(parsed.name, "", cause, FIX) for cause in causes]


def _outside(parsed: Mapping[str, Parsed], texts: Mapping[str, str]) -> set[str]:
    found = {target.partition(":")[0] for one in parsed.values() for target, _ in one.scope.imports.values()}
    return {name for name in found if name not in texts and name != "__future__"}


def main() -> None:
    """Read a request, write a draft."""
    with suppress(OSError):  # a sandbox may forbid it; then it only isn't as polite
        os.nice(NICENESS)
    with redirect_stdout(sys.stderr):
        draft = inspect(marshal.load(sys.stdin.buffer))  # noqa: S302 - from the node that has started this process
    sys.stdout.buffer.write(to_bytes(draft))
    sys.stdout.buffer.flush()
