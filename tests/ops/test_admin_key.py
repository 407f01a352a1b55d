"""Keys on files: made where they are used, let in by name and role, kept out again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ops.admin_key import app


@pytest.fixture
def key(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a line; gives what it printed."""

    def run(*words: str) -> str:
        app(words, result_action="return_value")
        return capsys.readouterr().out

    return run


def test_a_key_is_made_let_in_and_kept_out(key: Callable[..., str], tmp_path: Path) -> None:
    data = f"--data={tmp_path / 'data'}"
    public = key("make", str(tmp_path / "anna.key")).strip()
    assert key("make", str(tmp_path / "anna.key")).strip() == public, "what is there is left"
    assert (tmp_path / "anna.key").stat().st_mode & 0o777 == 0o600
    key("allow", "anna", "operator", public, data)
    listed = key("list", data)
    assert (tmp_path / "data" / "admin" / "node.pub").read_text().strip() in listed
    assert [line.split() for line in listed.splitlines() if public in line] == [["anna", "operator", public]]
    assert "local" in listed
    key("revoke", "anna", data)
    assert "anna" not in key("list", data)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("allow", "an na", "viewer", "x" * 40), "can't be a name"),
        (("allow", "anna", "viewer", "x"), "give the 40 characters"),
        (("revoke", "nobody"), "'nobody' is not in"),
    ],
)
def test_a_mistake_is_said(
    key: Callable[..., str],
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        key(*words, f"--data={tmp_path}")
    assert ended.value.code == 1
    assert said in capsys.readouterr().err
