"""The examples of docs/store.md run, and the page names every error and every setting."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from store import errors
from store.limits import StoreSettings

PAGE = (Path(__file__).parents[2] / "docs" / "store.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(EXAMPLES) == 3
    for at, example in enumerate(EXAMPLES):
        exec(compile(example, f"docs/store.md, example {at + 1}", "exec"), {"__name__": f"example{at}"})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "sequence 2"
    assert said[1] == "orders 1"
    assert said[2] == "{'town': 'London', 'orders': 1}"
    assert said[3] == said[4] == said[5] == "[((7, 'ada'), {'town': 'London', 'orders': 1})]"
    assert said[6] == "rows 1"
    assert said[7].startswith("[Deleted(key=(7, 'ada')")
    assert said[8] == "[((7, 'ada'), {'town': 'Ulm', 'tags': ['a']})]"
    assert said[9] == "{'since': 2014, 'tags': ['a'], 'town': 'Ulm', 'visits': 3}"
    assert said[10].startswith("['clear ")
    assert said[11] == "0"


def test_the_page_names_every_error_and_every_setting() -> None:
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.StoreError) and kind is not errors.StoreError:
            assert f"`{name}`" in PAGE, name
            assert kind.remedy != errors.StoreError.remedy or kind in (
                errors.StoreFatal,
                errors.SyncFailed,
            ), name
    for field in attrs.fields(StoreSettings):
        assert f"`{field.name}`" in PAGE, field.name
