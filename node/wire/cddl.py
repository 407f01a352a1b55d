"""Reads the part of CDDL (RFC 8610) that the schema uses, and refuses the rest with a line and a reason.

Supported: rules, choices (/), arrays whose members may be named, whole numbers, inclusive ranges, bstr and
tstr with .size of a number or a range, bool, null, and arrays of at most N elements, [*N x]. Everything has a
bound, since everything on the wire has one. This module must never know how a schema is used.
"""

import re
from collections.abc import Mapping
from typing import Final

import attrs

from node.wire.limits import FRAME_MAX
from node.wire.schema import (
    HEAD_INLINE_MAX,
    Array,
    Bool,
    Bytes,
    Choice,
    Member,
    Null,
    Reference,
    Repeat,
    Rule,
    SchemaError,
    Text,
    Type,
    Whole,
)

_WHOLE_MAX: Final = 2**64 - 1

_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\r]+|;[^\n]*)
      |(?P<line>\n)
      |(?P<name>[A-Za-z]+(?:[-0-9A-Za-z]*[0-9A-Za-z])?(?!['"\w]))
      |(?P<times>\*[0-9]+)
      |(?P<number>(?:0|[1-9][0-9]*)(?![0-9A-Za-z_]|\.[0-9]))
      |(?P<control>\.[A-Za-z]+)
      |(?P<symbol>\.\.(?!\.)|=(?![=>])|/(?![/=])|[\[\]\(\),:])""",
    re.VERBOSE,
)

_REFUSED: Final[tuple[tuple[str, str], ...]] = (
    (r"\.\.\.", "ranges without their end (...): write the last value that is allowed"),
    (r"//=|/=", "rules that are extended elsewhere"),
    (r"//", "choices between groups (//): name the arrays and choose between them with /"),
    (r"=>|\^", "map keys"),
    (r"\{|\}", "maps: use an array"),
    (r"\?", "optional members: use a choice with null"),
    (r"\+", "repetition without a bound (+): write *N"),
    (r"\*", "repetition without a bound (*): write *N, without a space"),
    (r"&", "enumerations from groups"),
    (r"~", "unwrapping"),
    (r"#", "tags and raw major types"),
    (r"<|>", "generic rules"),
    (r"[-0-9A-Za-z]*[$@_]", "sockets, plugs and names with $, @ or _"),
    (r"-", "negative numbers"),
    (r"[A-Za-z0-9]*'", "byte string literals"),
    (r'[A-Za-z]*"', "text literals"),
    (r"[0-9][0-9.]*", "numbers that are not plain decimal whole numbers"),
)

_PRELUDE: Final = frozenset(
    re.findall(
        r"\S+",
        """any uint nint int bstr bytes tstr text tdate time number biguint bignint bigint integer unsigned
        decfrac bigfloat eb64url eb64legacy eb16 encoded-cbor uri b64url b64legacy regexp mime-message cbor-any
        float16 float32 float64 float16-32 float32-64 float false true bool nil null undefined""",
    )
)
"""Names that every CDDL file has already (RFC 8610, appendix D)."""


@attrs.frozen
class _Token:
    line: int
    kind: str
    text: str


def parse(source: str) -> Mapping[str, Rule]:
    """Rules by name, in the order of the file, with references not yet resolved.

    Raises:
        SchemaError: a mistake, or something outside the supported part.
    """
    return _Parser(_tokens(source)).rules()


def _tokens(source: str) -> list[_Token]:
    tokens: list[_Token] = []
    line, at = 1, 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            raise SchemaError(line, _why_not(source, at))
        kind = match.lastgroup or ""
        if kind == "line":
            line += 1
        elif kind != "space":
            tokens.append(_Token(line, kind, match.group()))
        at = match.end()
    tokens.append(_Token(line, "end", "the end of the file"))
    return tokens


def _why_not(source: str, at: int) -> str:
    for pattern, what in _REFUSED:
        if re.compile(pattern).match(source, at):
            return f"not supported: {what}"
    return f"not CDDL: {source[at]!r}"


class _Parser:
    """Recursive descent over the tokens; one method for each production."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def rules(self) -> dict[str, Rule]:
        rules: dict[str, Rule] = {}
        while self._peek().kind != "end":
            name = self._take("name", "a rule's name")
            self._symbol("=")
            if name.text in _PRELUDE:
                raise SchemaError(name.line, f"{name.text} is a name of CDDL's prelude: choose another")
            if name.text in rules:
                raise SchemaError(name.line, f"{name.text} is defined twice")
            rules[name.text] = Rule(name.line, name.text, self._type())
        if not rules:
            raise SchemaError(1, "there is no rule")
        return rules

    def _type(self) -> Type:
        line = self._peek().line
        alternatives = [self._alternative()]
        while self._is("/"):
            self._at += 1
            alternatives.append(self._alternative())
        return alternatives[0] if len(alternatives) == 1 else Choice(line, tuple(alternatives))

    def _alternative(self) -> Type:
        token = self._peek()
        if token.kind == "number":
            return self._whole()
        if token.text == "[":
            return self._array()
        if token.text == "(":
            raise SchemaError(token.line, "not supported: parentheses around types or groups")
        self._take("name", "a type")
        result = self._named(token)
        if self._peek().kind == "control":
            control = self._peek()
            raise SchemaError(control.line, f"not supported: {control.text} after {token.text}")
        return result

    def _named(self, token: _Token) -> Type:
        match token.text:
            case "bstr":
                return Bytes(token.line, *self._size(token))
            case "tstr":
                return Text(token.line, *self._size(token))
            case "bool":
                return Bool(token.line)
            case "null":
                return Null(token.line)
            case name if name in _PRELUDE:
                raise SchemaError(token.line, f"not supported: {name}: use a range, bstr, tstr, bool or null")
        return Reference(token.line, token.text)

    def _size(self, token: _Token) -> tuple[int, int]:
        if self._peek().text != ".size":
            raise SchemaError(token.line, f"not supported: {token.text} without .size: it needs a bound")
        self._at += 1
        if self._is("("):
            self._at += 1
            size = self._whole()
            self._symbol(")")
        else:
            size = self._whole()
            if size.low != size.high:
                raise SchemaError(token.line, "a range of sizes needs parentheses: .size (a..b)")
        if size.high >= FRAME_MAX:
            raise SchemaError(token.line, f"a string of {size.high} bytes does not fit in a frame")
        return size.low, size.high

    def _whole(self) -> Whole:
        first = self._take("number", "a number")
        low = high = int(first.text)
        if self._is(".."):
            self._at += 1
            high = int(self._take("number", "the last number of the range").text)
        if low > high:
            raise SchemaError(first.line, f"the range {low}..{high} is empty")
        if high > _WHOLE_MAX:
            raise SchemaError(first.line, f"{high} is more than 64 bits")
        return Whole(first.line, low, high)

    def _array(self) -> Type:
        start = self._peek()
        self._symbol("[")
        if self._peek().kind == "times":
            times = self._peek()
            self._at += 1
            _, element = self._entry(0)
            if not self._is("]"):
                raise SchemaError(times.line, "not supported: repetition beside other members")
            self._at += 1
            most = int(times.text[1:])
            if not 1 <= most < FRAME_MAX:
                raise SchemaError(times.line, f"an array of at most {most}: must be 1..{FRAME_MAX - 1}")
            return Repeat(start.line, element, most)
        members: list[Member] = []
        while not self._is("]"):
            if self._peek().kind == "times":
                raise SchemaError(self._peek().line, "not supported: repetition beside other members")
            members.append(Member(*self._entry(len(members))))
            if not self._is("]"):
                self._symbol(",")
        self._at += 1
        if not 1 <= len(members) <= HEAD_INLINE_MAX:
            raise SchemaError(start.line, f"an array of {len(members)} members: must be 1..{HEAD_INLINE_MAX}")
        names = [member.name for member in members]
        if len(set(names)) != len(names):
            raise SchemaError(start.line, "two members of one array have the same name")
        return Array(start.line, tuple(members))

    def _entry(self, place: int) -> tuple[str, Type]:
        token = self._peek()
        following = self._tokens[min(self._at + 1, len(self._tokens) - 1)]
        if token.kind in ("name", "number") and following.text == ":":
            if token.kind == "number":
                raise SchemaError(token.line, "not supported: a number as a member's name")
            self._at += 2
            return token.text, self._type()
        if token.kind == "number" and self._tokens[self._at + 1].kind == "times":
            raise SchemaError(token.line, "not supported: a least number of repetitions")
        type_ = self._type()
        return (type_.name if isinstance(type_, Reference) else f"member {place + 1}"), type_

    def _peek(self) -> _Token:
        return self._tokens[self._at]

    def _is(self, symbol: str) -> bool:
        token = self._peek()
        return token.kind == "symbol" and token.text == symbol

    def _symbol(self, symbol: str) -> None:
        if not self._is(symbol):
            raise SchemaError(self._peek().line, f"expected {symbol} and found {self._peek().text}")
        self._at += 1

    def _take(self, kind: str, what: str) -> _Token:
        token = self._peek()
        if token.kind != kind:
            raise SchemaError(token.line, f"expected {what} and found {token.text}")
        self._at += 1
        return token
