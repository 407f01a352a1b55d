"""Wrong usage of a command is told by name, and nothing is started."""

import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import App

import ops.bench.command
import ops.history.command
import ops.soak

SOAK = App(name="soak")
SOAK.default(ops.soak.soak)


@pytest.mark.parametrize(
    ("app", "words"),
    [
        (ops.bench.command.app, "messages --users 0"),
        (ops.bench.command.app, "messages --users -3"),
        (ops.bench.command.app, "messages --seconds 0"),
        (ops.bench.command.app, "messages --rate -1"),
        (ops.bench.command.app, "messages --body 1"),
        (ops.bench.command.app, "connections --count 0"),
        (ops.bench.command.app, "mailbox --messages 0"),
        (ops.bench.command.app, "mailbox --repeat 0"),
        (ops.bench.command.app, "hub --frames 0"),
        (ops.bench.command.app, "store --batch 0"),
        (SOAK, "--kills -1"),
        (SOAK, "--workers 0"),
        (SOAK, "--minutes -1"),
    ],
)
def test_a_number_out_of_range_is_named(app: App, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app(words)
    assert ended.value.code
    said = "".join(capsys.readouterr())
    (option,) = [word for word in words.split() if word.startswith("--")]
    assert option in said
    assert "Must be" in said


def test_more_partners_than_there_are_is_named() -> None:
    with pytest.raises(SystemExit, match="fewer than --partners 3"):
        ops.bench.command.app("messages --recipients offline --users 4 --partners 3")


@pytest.mark.parametrize(
    "command", ["cluster", "cold", "connections", "reload", "storm", "store", "tables", "upgrade"]
)
def test_a_directory_that_is_none_is_named_and_not_made(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    (tmp_path / "file").touch()
    for name, why in (("gone", "gone doesn't exist"), ("file", "file is no directory")):
        with pytest.raises(SystemExit) as ended:
            ops.bench.command.app([command, "--directory", str(tmp_path / name)])
        assert ended.value.code
        said = "".join("".join(capsys.readouterr()).replace("│", "").split())  # in a box, wrapped anywhere
        assert f"{why}: make it first, or leave the option out".replace(" ", "") in said
        assert "--directory" in said
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_check_of_no_history_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert ops.history.command.check_history() == 2
    assert "no history was named" in capsys.readouterr().err


def test_every_command_says_what_it_does() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "ops.command", "--help"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for command in (
        "accounts",
        "admin",
        "admin-key",
        "bench",
        "chat",
        "check-history",
        "doctor",
        "prometheus",
        "restore",
        "run",
        "soak",
        "store",
        "top",
        "wsar",
    ):
        (line,) = [line for line in shown.splitlines() if line.startswith(f"│ {command} ")]
        assert len(line.strip("│ ").split()) > 3, line
