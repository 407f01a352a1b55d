"""The protocol's page says what the code does: its examples are frames, its tables are current."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from node.mail import acking
from node.wire import codec
from node.wire.codec import decode_client, decode_server, encode
from node.wire.error_table import END, START, with_table
from node.wire.limits import (
    ACK_RANGE_MAX,
    BODY_MAX,
    DEPTH_MAX,
    FRAME_MAX,
    FRAME_MAX_BEFORE_LOGIN,
    WINDOW_MAX,
)
from tests.node.wire.strategies import CLIENT_FRAMES, SERVER_FRAMES

PAGE = (Path(__file__).parents[3] / "docs" / "wire-protocol.md").read_text()

EXAMPLES = [
    (side, notation)
    for block in re.findall(r"```cbor-diag\n(.*?)```", PAGE, re.DOTALL)
    for side, notation in re.findall(r"^([CS]): (.*)$", block, re.MULTILINE)
]


def value_of(notation: str) -> Any:
    """A value from the diagnostic notation (RFC 8949, section 8) that the page uses; arrays become tuples."""
    python = re.sub(r"h'([0-9a-f]*)'", r'bytes.fromhex("\1")', notation)
    tree: Any = ast.parse(python, mode="eval").body

    def build(node: Any) -> Any:
        match node:
            case ast.List():
                return tuple(map(build, node.elts))
            case ast.Call():
                return bytes.fromhex(ast.literal_eval(node.args[0]))
            case ast.Constant():
                return node.value
            case ast.Name(id=name):
                return {"true": True, "false": False, "null": None}[name]
        raise AssertionError(ast.dump(node))

    return build(tree)


@pytest.mark.parametrize(("side", "notation"), EXAMPLES)
def test_every_example_is_a_frame_of_its_side(side: str, notation: str) -> None:
    frame = value_of(notation)
    out: list[Any] = []
    (decode_client if side == "C" else decode_server)(encode(frame), FRAME_MAX, out)
    assert out == [frame]


def test_every_frame_of_either_side_has_an_example() -> None:
    shown = {(side, value_of(notation)[0]) for side, notation in EXAMPLES}
    assert shown == {("C", frame.verb) for frame in CLIENT_FRAMES} | {
        ("S", frame.verb) for frame in SERVER_FRAMES
    }


def test_the_bytes_of_the_worked_example_are_those_of_its_frame() -> None:
    (block,) = re.findall(r"```\n(0000 .*?)```", PAGE, re.DOTALL)
    written = "".join(line[:30] for line in block.splitlines())
    expected = encode((10, 15551230002, bytes(range(1, 9)), 7, 6, b"hi"))
    assert bytes.fromhex(written) == expected


def test_the_table_of_errors_is_current() -> None:
    assert with_table(PAGE) == PAGE


def test_a_page_without_the_markers_is_refused() -> None:
    for page in ("", START, END, START * 2 + END):
        with pytest.raises(ValueError, match="one line"):
            with_table(page)


@pytest.mark.parametrize("limit", [FRAME_MAX_BEFORE_LOGIN, FRAME_MAX, BODY_MAX, DEPTH_MAX, WINDOW_MAX])
def test_the_limits_are_named(limit: int) -> None:
    assert f"{limit:,}" in PAGE[PAGE.index("### Limits") : PAGE.index("### Words")]


def test_the_longest_range_of_an_ack_is_the_cores_and_is_stated_where_clients_look() -> None:
    assert ACK_RANGE_MAX == acking.ACK_AHEAD_MAX
    limits = PAGE[PAGE.index("### Limits") : PAGE.index("### Words")]
    assert f"numbers that one `ack` names | {ACK_RANGE_MAX:,}" in limits
    schema = (Path(codec.__file__).parent / "waystation.cddl").read_text()
    assert f"at most {ACK_RANGE_MAX} numbers" in schema
