"""Compiles the wire schema to Python: `python -m node.wire.compiler [--check]`.

Reads waystation.cddl and writes generated.py beside it; --check only says whether that file is up to date.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from node.wire.cddl import parse
from node.wire.emit import Lines
from node.wire.emit_checkers import emit_checker
from node.wire.emit_readers import emit_reader
from node.wire.schema import HEAD_INLINE_MAX, Frame, SchemaError, check_used, frames_of

SCHEMA: Final = Path(__file__).with_name("waystation.cddl")
GENERATED: Final = Path(__file__).with_name("generated.py")
ROOTS: Final = ("client-frame", "server-frame")

_OPENING: Final = '''"""Checkers and readers of every frame, made by python -m node.wire.compiler: edit the schema.

check_…(frame) refuses a wrong frame given as a list or tuple; read_…(data, start, end) decodes and checks the
bytes of one frame. Both raise WireError(MALFORMED, …). The tables lead from a verb to its functions.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from node.wire.primitives import Check, Frame, bad, by_first_byte, is_array, u32, u64, unknown, utf8_size


'''


def compile_schema(source: str) -> str:
    """The source of the generated module.

    Raises:
        SchemaError: the schema is wrong or uses what isn't supported.
    """
    rules = parse(source)
    sides = {root: frames_of(rules, root) for root in ROOTS}
    check_used(rules, ROOTS)
    return emit_module(sides)


def emit_module(sides: Mapping[str, tuple[Frame, ...]]) -> str:
    """A module with a checker and a reader for each frame, and for each side the tables by verb."""
    lines = Lines()
    checkers: dict[str, str] = {}
    readers: dict[str, str] = {}
    for frames in sides.values():
        for frame in frames:
            if frame.name not in checkers:
                checkers[frame.name] = emit_checker(lines, frame)
                readers[frame.name] = emit_reader(lines, frame)
    for root, frames in sides.items():
        _emit_tables(lines, root.removesuffix("-frame"), frames, checkers, readers)
    return _OPENING + lines.text()


def _emit_tables(
    lines: Lines,
    side: str,
    frames: tuple[Frame, ...],
    checkers: Mapping[str, str],
    readers: Mapping[str, str],
) -> None:
    short = [frame for frame in frames if frame.verb <= HEAD_INLINE_MAX]
    wide = [frame for frame in frames if frame.verb > HEAD_INLINE_MAX]
    if wide:
        with lines.block(f"def read_{side}_wide(d: bytes, i: int, end: int) -> Frame:"):
            lines.add('"""A verb that has a byte of its own after its head."""')
            lines.add("verb = d[i + 2]")
            for frame in wide:
                with lines.block(f"if verb == {frame.verb}:"):
                    lines.add(f"return {readers[frame.name]}(d, i, end)")
            lines.add("return unknown(d, i, end)")
        lines.add()
        lines.add()
    with lines.block(f"{side.upper()}_CHECKS: Final[Mapping[int, Check]] = MappingProxyType({{"):
        for frame in frames:
            lines.add(f"{frame.verb}: {checkers[frame.name]},")
    lines.add("})")
    with lines.block(f"{side.upper()}_READERS: Final = by_first_byte({{"):
        for frame in short:
            lines.add(f"{frame.verb}: {readers[frame.name]},")
        if wide:
            lines.add(f"{HEAD_INLINE_MAX + 1}: read_{side}_wide,")
    lines.add("})")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m node.wire.compiler", description="Compile the wire schema.")
    parser.add_argument("--check", action="store_true", help="only say whether generated.py is up to date")
    options = parser.parse_args(arguments)
    try:
        source = compile_schema(SCHEMA.read_text())
    except SchemaError as error:
        print(f"{SCHEMA.name}: {error}", file=sys.stderr)
        return 1
    if not options.check:
        GENERATED.write_text(source)
    elif not GENERATED.exists() or GENERATED.read_text() != source:
        print(f"{GENERATED.name} is not up to date: run python -m node.wire.compiler", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
