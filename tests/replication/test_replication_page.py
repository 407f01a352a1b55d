"""The examples of docs/replication.md run, and the page names every error and every setting."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from replication import errors, forwarding, placed
from replication.core import errors as core_errors
from replication.core.settings import ReplicaSettings
from replication.detectorstate import DetectorSettings
from replication.membership import errors as membership_errors
from replication.membership.settings import MembershipSettings
from replication.schema import errors as schema_errors

PAGE = (Path(__file__).parents[2] / "docs" / "replication.md").read_text()
COMMON = ("ReplicationError", "MembershipError")
"""Ancestors of others."""
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (0, ["copies 2", "copies 2", "left 1", "left 0", "at the primary 0"]),
        (1, ["found [((1,), {'to': 'ada', 'text': 'TEA'})]"]),
    ],
)
def test_the_examples_run(
    at: int,
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(EXAMPLES) == 2
    exec(compile(EXAMPLES[at], f"docs/replication.md, example {at + 1}", "exec"), {"__name__": "example"})
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not re.match(r"\S*\d{4}-\d\d-\d\d", line)] == said


def test_the_page_names_every_error() -> None:
    found = 0
    for module in (errors, core_errors, forwarding, placed, schema_errors, membership_errors):
        for name, kind in vars(module).items():
            if isinstance(kind, type) and issubclass(kind, Exception) and name not in COMMON:
                assert f"`{name}`" in PAGE, name
                found += 1
    assert found >= 10


@pytest.mark.parametrize("settings", [ReplicaSettings, DetectorSettings, MembershipSettings])
def test_the_page_names_every_setting_with_its_default(settings: type[object]) -> None:
    for field in attrs.fields(settings):
        assert f"`{field.name}`" in PAGE, field.name


def test_the_page_says_what_the_detector_does_by_default() -> None:
    settings = DetectorSettings()
    assert f"every {settings.beat_ms} ms" in PAGE
    assert f"silent for {settings.suspect_ms:,} ms" in PAGE
    assert f"within {settings.confirm_ms} ms more" in PAGE
