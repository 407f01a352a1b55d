"""Emits checkers of values: functions that refuse a frame, given as a list or tuple, that the schema forbids.

`type(x) is int` and not isinstance: True is an int to Python and not to the schema. This module must never
know how a value looks on the wire.
"""

from node.wire.emit import Lines, identifier, wanted
from node.wire.schema import Array, Bool, Bytes, Choice, Frame, Null, Repeat, Text, Type, Whole, literal_of


def emit_checker(lines: Lines, frame: Frame) -> str:
    """Emit the checker of one frame; return its name. The caller of the checker has looked at the verb."""
    function = f"check_{identifier(frame.name)}"
    with lines.block(f"def {function}(frame: Sequence[Any]) -> None:"):
        lines.refuse(
            f"len(frame) != {len(frame.array.members)}", f"{frame.name}: the frame {wanted(frame.array)}"
        )
        _emit_members(lines, frame.array, "frame", f"{frame.name}: ", skip=1)
    lines.add()
    lines.add()
    return function


def _emit(lines: Lines, type_: Type, value: str, path: str) -> None:
    text = f"{path} {wanted(type_)}"
    match type_:
        case Whole(low=low, high=high):
            lines.refuse(f"type({value}) is not int or not {low} <= {value} <= {high}", text)
        case Bytes(low=low, high=high):
            size = f"len({value}) != {low}" if low == high else f"not {low} <= len({value}) <= {high}"
            lines.refuse(f"type({value}) is not bytes or {size}", text)
        case Text(low=low, high=high):
            lines.refuse(f"type({value}) is not str or not {low} <= utf8_size({value}) <= {high}", text)
        case Bool():
            lines.refuse(f"{value} is not True and {value} is not False", text)
        case Null():
            lines.refuse(f"{value} is not None", text)
        case Array(members=members):
            lines.refuse(f"not is_array({value}) or len({value}) != {len(members)}", text)
            _emit_members(lines, type_, value, f"{path}.")
        case Repeat(element=element, most=most):
            lines.refuse(f"not is_array({value}) or len({value}) > {most}", text)
            with lines.block(f"for {value}_one in {value}:"):
                _emit(lines, element, f"{value}_one", f"{path}[]")
        case Choice(alternatives=alternatives):
            _emit_choice(lines, alternatives, value, path)
            with lines.block("else:"):
                lines.add(f'raise bad("{text}")')


def _emit_members(lines: Lines, array: Array, value: str, path: str, skip: int = 0) -> None:
    for place, member in enumerate(array.members[skip:], skip):
        name = identifier(member.name) if value == "frame" else f"{value}_{identifier(member.name)}"
        lines.add(f"{name} = {value}[{place}]")
        _emit(lines, member.type, name, f"{path}{member.name}")


def _emit_choice(lines: Lines, alternatives: tuple[Type, ...], value: str, path: str) -> None:
    for at, alternative in enumerate(alternatives):
        with lines.block(f"{'elif' if at else 'if'} {_is_of(alternative, alternatives, value)}:"):
            if isinstance(alternative, Bool | Null):
                lines.add("pass")
            else:
                _emit(lines, alternative, value, path)


def _is_of(type_: Type, alternatives: tuple[Type, ...], value: str) -> str:
    """Which alternative a value claims to be; its own checker then looks at the rest."""
    match type_:
        case Whole():
            return f"type({value}) is int"
        case Bytes():
            return f"type({value}) is bytes"
        case Text():
            return f"type({value}) is str"
        case Bool():
            return f"{value} is True or {value} is False"
        case Null():
            return f"{value} is None"
        case Repeat():
            return f"is_array({value})"
        case Array(members=members):
            claim = f"is_array({value}) and len({value}) == {len(members)}"
            rivals = [a for a in alternatives if isinstance(a, Array) and len(a.members) == len(members)]
            if len(rivals) == 1:
                return claim
            return f"{claim} and {value}[0] == {literal_of(members[0].type)}"
    raise AssertionError(type_)
