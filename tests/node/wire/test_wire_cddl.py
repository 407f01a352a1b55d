"""The compiler takes the part of CDDL that the schema uses and refuses the rest, saying where and why."""

import pytest

from node.wire.cddl import parse
from node.wire.compiler import compile_schema
from node.wire.schema import (
    Array,
    Bool,
    Bytes,
    Choice,
    Member,
    Null,
    Reference,
    Repeat,
    SchemaError,
    Text,
    Type,
    Whole,
    depth,
    head_size,
    largest,
)


@pytest.mark.parametrize(
    ("notation", "type_"),
    [
        ("7", Whole(1, 7, 7)),
        ("0..255", Whole(1, 0, 255)),
        ("0 .. 18446744073709551615", Whole(1, 0, 2**64 - 1)),
        ("bool", Bool(1)),
        ("null", Null(1)),
        ("bstr .size 8", Bytes(1, 8, 8)),
        ("bstr .size (8)", Bytes(1, 8, 8)),
        ("bstr .size (0..61440)", Bytes(1, 0, 61440)),
        ("tstr .size (1..32)", Text(1, 1, 32)),
        ("other", Reference(1, "other")),
        ("an-other2", Reference(1, "an-other2")),
        ("[1, 2]", Array(1, (Member("member 1", Whole(1, 1, 1)), Member("member 2", Whole(1, 2, 2))))),
        ("[1, user, ]", Array(1, (Member("member 1", Whole(1, 1, 1)), Member("user", Reference(1, "user"))))),
        ("[n: 1..9]", Array(1, (Member("n", Whole(1, 1, 9)),))),
        ("[*32 feature]", Repeat(1, Reference(1, "feature"), 32)),
        ("[*32 name: feature]", Repeat(1, Reference(1, "feature"), 32)),
        ("null / [a]", Choice(1, (Null(1), Array(1, (Member("a", Reference(1, "a")),))))),
        ("bool ; a comment", Bool(1)),
    ],
)
def test_what_the_schema_uses_is_read(notation: str, type_: Type) -> None:
    assert parse(f"a = {notation}")["a"].type == type_


def test_a_rule_goes_on_over_lines_and_keeps_the_line_where_it_starts() -> None:
    rules = parse("; first\n\na = 1\n  / null\nb = [\n a,\n bool]")
    assert [(rule.name, rule.line) for rule in rules.values()] == [("a", 3), ("b", 5)]


@pytest.mark.parametrize(
    ("notation", "reason"),
    [
        ("{ a: 1 }", "maps"),
        ("[? bool]", "optional members"),
        ("[+ bool]", "without a bound"),
        ("[* bool]", "without a bound"),
        ("[* 3 bool]", "without a bound"),
        ("[*0 bool]", "must be 1.."),
        ("[*65536 bool]", "must be 1.."),
        ("[1*3 bool]", "a least number of repetitions"),
        ("[1 *3 bool]", "a least number of repetitions"),
        ("[bool, *3 bool]", "beside other members"),
        ("[*3 bool, null]", "beside other members"),
        ("[]", "an array of 0 members"),
        ("[" + ", ".join(f"m{n}: bool" for n in range(24)) + "]", "an array of 24 members"),
        ("[x: bool, x: null]", "same name"),
        ("[bool // null]", "choices between groups"),
        ("[1: bool]", "a number as a member's name"),
        ("[bool null]", "expected ,"),
        ("[bool", "expected ,"),
        ("(bool / null)", "parentheses"),
        ("[(bool, null)]", "parentheses"),
        ("1...9", "without their end"),
        ("9..1", "is empty"),
        ("1..x", "expected the last number"),
        ("0..18446744073709551616", "more than 64 bits"),
        ("-1", "negative numbers"),
        ("-5..5", "negative numbers"),
        ("1.5", "not plain decimal"),
        ("0x10", "not plain decimal"),
        ("1e3", "not plain decimal"),
        ("007", "not plain decimal"),
        ('"text"', "text literals"),
        ("'bytes'", "byte string literals"),
        ("h'00ff'", "byte string literals"),
        ("uint", "not supported: uint"),
        ("int", "not supported: int"),
        ("float64", "not supported: float64"),
        ("any", "not supported: any"),
        ("undefined", "not supported: undefined"),
        ("true", "not supported: true"),
        ("bytes .size 8", "not supported: bytes"),
        ("bstr", "it needs a bound"),
        ("tstr", "it needs a bound"),
        ("tstr .regexp x", "it needs a bound"),
        ("bstr .cbor x", "it needs a bound"),
        ("bstr .size 1..8", "needs parentheses"),
        ("bstr .size (8..1)", "is empty"),
        ("bstr .size x", "expected a number"),
        ("bstr .size 65536", "does not fit in a frame"),
        ("bool .default 1", "not supported: .default after bool"),
        ("other .size 8", "not supported: .size after other"),
        ("other .and more", "not supported: .and after other"),
        ("&( a: 1 )", "enumerations"),
        ("~other", "unwrapping"),
        ("#6.1(bool)", "tags"),
        ("#", "tags"),
        ("other<bool>", "generic"),
        ("$socket", "sockets"),
        ("an_other", "sockets, plugs and names"),
        ("[x => bool]", "map keys"),
        ("[x ^ : bool]", "map keys"),
        ("bool /", "expected a type"),
        ("= bool", "expected a type"),
        ("", "expected a type"),
        ("bool !", "not CDDL"),
        ("\\", "not CDDL"),
    ],
)
def test_what_is_not_supported_is_refused_with_its_line(notation: str, reason: str) -> None:
    with pytest.raises(SchemaError) as caught:
        parse(f"\n\na = {notation}")
    assert reason in caught.value.reason
    assert str(caught.value).startswith("line 3: ")


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("", 1, "no rule"),
        ("; nothing but this", 1, "no rule"),
        ("a = 1\na = 2", 2, "defined twice"),
        ("number = 1..9", 1, "prelude"),
        ("text = tstr .size 1", 1, "prelude"),
        ("a /= 1", 1, "extended elsewhere"),
        ("a //= [1]", 1, "extended elsewhere"),
        ("a<b> = 1", 1, "generic"),
        ("[1]", 1, "expected a rule's name"),
        ("a 1", 1, "expected ="),
    ],
)
def test_what_is_no_rule_is_refused(source: str, line: int, reason: str) -> None:
    with pytest.raises(SchemaError, match=reason) as caught:
        parse(source)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("x = [1]", 1, "no rule client-frame"),
        ("client-frame = x\nx = [1]", 1, "no rule server-frame"),
        ("client-frame = x\nserver-frame = x", 1, "no rule x"),
        ("client-frame = x\nserver-frame = x\nx = [1, y]", 3, "no rule y"),
        ("client-frame = x\nserver-frame = x\nx = [1]\ny = 2", 4, "nothing uses y"),
        ("client-frame = [1]\nserver-frame = [1]", 1, "a choice of named rules"),
        ("client-frame = x / null\nserver-frame = x\nx = [1]", 1, "a choice of named rules"),
        ("client-frame = x\nserver-frame = x\nx = bool", 3, "starts with a verb"),
        ("client-frame = x\nserver-frame = x\nx = [bool]", 3, "starts with a verb"),
        ("client-frame = x\nserver-frame = x\nx = [1..2]", 3, "starts with a verb"),
        ("client-frame = x\nserver-frame = x\nx = [256]", 3, "starts with a verb"),
        ("client-frame = x\nserver-frame = x\nx = [*2 y]\ny = 1", 3, "starts with a verb"),
        ("client-frame = x / y\nserver-frame = x\nx = [1]\ny = [1, 2]", 4, "verb 1"),
        ("client-frame = x\nserver-frame = x\nx = [1, x]", 3, "contains itself"),
        ("client-frame = x\nserver-frame = x\nx = [1, y]\ny = null / [y]", 4, "contains itself"),
        ("client-frame = x\nserver-frame = x\nx = [1, 1..2 / 5]", 3, "tell apart"),
        ("client-frame = x\nserver-frame = x\nx = [1, null / null]", 3, "tell apart"),
        ("client-frame = x\nserver-frame = x\nx = [1, [*2 bool] / [null]]", 3, "tell apart"),
        ("client-frame = x\nserver-frame = x\nx = [1, [1, bool] / [1, null]]", 3, "tell apart"),
        ("client-frame = x\nserver-frame = x\nx = [1, [1..2, bool] / [3, null]]", 3, "tell apart"),
        ("client-frame = x\nserver-frame = x\nx = [1, y / 2]\ny = 1 / null", 3, "tell apart"),
        ("client-frame = x\nserver-frame = x\nx = [1, [[[[[[[[bool]]]]]]]]]", 3, "9 deep, more than 8"),
    ],
)
def test_what_only_the_whole_shows_is_refused(source: str, line: int, reason: str) -> None:
    with pytest.raises(SchemaError, match=reason) as caught:
        compile_schema(source)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (0, 1),
        (23, 1),
        (24, 2),
        (255, 2),
        (256, 3),
        (65535, 3),
        (65536, 5),
        (2**32 - 1, 5),
        (2**32, 9),
        (2**64 - 1, 9),
    ],
)
def test_the_size_of_a_head(value: int, size: int) -> None:
    assert head_size(value) == size


@pytest.mark.parametrize(
    ("notation", "most_bytes", "deep"),
    [
        ("0..23", 1, 0),
        ("0..24", 2, 0),
        ("bool", 1, 0),
        ("bstr .size (0..24)", 26, 0),
        ("tstr .size 256", 259, 0),
        ("[bool, [null]]", 4, 2),
        ("[*24 bstr .size 2]", 74, 1),
        ("null / [bool] / tstr .size 9", 10, 1),
    ],
)
def test_the_largest_value_of_a_type_and_its_depth(notation: str, most_bytes: int, deep: int) -> None:
    type_ = parse(f"a = {notation}")["a"].type
    assert (largest(type_), depth(type_)) == (most_bytes, deep)
