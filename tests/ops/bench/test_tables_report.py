"""The tables' figures as Markdown: what was measured is there, what wasn't is not."""

from pathlib import Path

import pytest

from ops.bench.report import MarkersMissingError, place
from ops.bench.tables_report import BEGIN, END, markdown

FIGURES = {
    "writes_per_s": 12_345.6,
    "cpu_us_per_write": 7.89,
    "wire_bytes_per_write": None,
    "disk_bytes_per_write": 1_000.4,
}
SYNC = {**FIGURES, "latency_ms": {"p50": 1.5, "p99": 2.25}}
RESULT = {
    "repeats": 3,
    "machine": {"cores": 2, "kernel": "6.1", "filesystem": "ext4", "python": "3.11.7"},
    "settings": {"tables": 1, "keys": 1_000, "value": 150, "storage": "disc"},
    "async_ratio": 3.14,
    "catch_up_records_per_second": 123_456.7,
    "warnings": ["something"],
    "waystation": {
        "async": {"1024": FIGURES, "16": FIGURES},
        "sync": {"16": SYNC},
        "catch_up": {"records": 1_000, "seconds": 0.5, "records_per_s": 2_000},
        "sizes": {"10000": {"async": FIGURES}},
    },
}


def test_what_was_measured_is_there() -> None:
    text = markdown(RESULT)
    assert "| asynchronous writes | **3.14** | ≥ 3 |" in text
    assert "**123,457** | ≥ 100,000 |" in text
    assert "| sync, 16 | waystation | 12,346 | 7.9 µs | — | 1,000 B | 1.50 ms | 2.25 ms |" in text
    assert text.index("async, 16 ") < text.index("async, 1024")
    assert "| 10,000 | — | 12,346 |" in text
    assert "Warning: something" in text
    for absent in ("| mnesia", "awaited writes", "four groups", "| tables |"):
        assert absent not in text


def test_it_is_put_where_the_documentation_has_its_place(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs/benchmarks.md"
    copy = tmp_path / "benchmarks.md"
    copy.write_text(page.read_text())
    place("new figures", copy, BEGIN, END)
    before, _, rest = page.read_text().partition(BEGIN)
    assert copy.read_text() == f"{before}{BEGIN}\n\nnew figures\n{END}{rest.partition(END)[2]}"
    with pytest.raises(MarkersMissingError, match=BEGIN):
        (tmp_path / "other.md").write_text("")
        place("new figures", tmp_path / "other.md", BEGIN, END)
