"""The examples of docs/client.md, run in their order against the fake node and against a real one."""

import re
from pathlib import Path

import attrs
import pytest

from client import errors
from client.settings import Settings
from tests.client.doc_servers import fake_server, real_server

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("server", [fake_server, pytest.param(real_server, marks=pytest.mark.system)])
def test_the_examples_run(
    server: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(EXAMPLES) == 6
    with server(tmp_path) as running:  # type: ignore[operator]
        for at, example in enumerate(EXAMPLES):
            assert "chat.example:7443" in example
            source = example.replace("chat.example:7443", running.address)
            namespace = {"__name__": f"example{at}", "input": lambda prompt: running.newest_pin()}
            exec(compile(source, f"docs/client.md, example {at + 1}", "exec"), namespace)
    said = capsys.readouterr().out
    assert "message 1 ONE_COPY" in said
    assert "+15551230001 says hello, Bob" in said
    assert "delivered +15551230002 [1]" in said
    assert "read +15551230002 [1]" in said
    assert "connected 1" in said


def test_the_page_names_every_error_and_knows_the_settings() -> None:
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.ClientError) and kind is not errors.ClientError:
            assert f"`{name}`" in PAGE, name
    named = set(re.findall(r"`(\w+_\w+)`", PAGE[PAGE.index("## Settings") : PAGE.index("## Errors")]))
    known = {field.name for field in attrs.fields(Settings)}
    assert named - {"request_pin"} <= known
