"""The picture is whole XML, as wide as its counts, and holds nothing that a name could smuggle in."""

from xml.etree import ElementTree

import pytest

from admin.profiling.flame import MARGIN, WIDTH, NotStacks, draw

SVG = "{http://www.w3.org/2000/svg}"


def boxes(picture: str) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(picture)
    return {
        str(one.findtext(f"{SVG}title")): rect
        for one in root.iter(f"{SVG}g")
        if (rect := one.find(f"{SVG}rect")) is not None
    }


def test_boxes_are_as_wide_as_their_share_and_lie_on_their_callers() -> None:
    found = boxes(draw(["main;f;g 30", "main;f 10", "main;h 60"], "a title"))
    assert set(found) == {
        "all: 100 samples, 100.00 %",
        "main: 100 samples, 100.00 %",
        "f: 40 samples, 40.00 %",
        "g: 30 samples, 30.00 %",
        "h: 60 samples, 60.00 %",
    }
    f, g, h = (found[name] for name in sorted(found)[1:4])
    whole = WIDTH - 2 * MARGIN
    assert [round(float(one.attrib["width"]) / whole, 2) for one in (f, g, h)] == [0.4, 0.3, 0.6]
    assert float(g.attrib["y"]) < float(f.attrib["y"]) == float(h.attrib["y"])
    assert float(g.attrib["x"]) == float(f.attrib["x"]) < float(h.attrib["x"])


def test_names_are_text_and_nothing_else() -> None:
    picture = draw(["<module>;a&b\"'</svg> 1"], "<script>")
    assert "a&b\"'</svg>: 1 samples, 100.00 %" in boxes(picture)
    assert "<script" not in picture


def test_what_is_narrower_than_can_be_seen_is_left_out() -> None:
    assert "rare: 1 samples" not in draw(["often 999999", "rare 1"], "")


def test_nothing_is_a_picture_too() -> None:
    assert list(boxes(draw([], ""))) == []


@pytest.mark.parametrize("line", ["", "no count", "a;b -3", " 3"])
def test_a_line_that_is_no_stack_is_refused(line: str) -> None:
    with pytest.raises(NotStacks):
        draw([line], "")
