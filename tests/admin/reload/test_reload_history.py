"""What is remembered of reloads, through ends in between and files that were torn."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from admin.reload import history
from admin.reload.history import CUT_OFF, History


def _opened(path: Path) -> History:
    made = History(path)
    made.open()
    return made


@contextmanager
def _unwritable(path: Path) -> Iterator[None]:
    """Also for root, whom modes don't stop."""
    aside = path.with_suffix(".aside")
    path.rename(aside)
    path.mkdir()
    yield
    path.rmdir()
    aside.rename(path)


def test_entries_are_kept_across_starts(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "history.jsonl"
    first = _opened(path)
    number = first.begin({"who": "a", "state": "begun"})
    first.go_on(number, state="watched", pause_ms=1.5)
    first.go_on(number, state="kept")
    first.flush()
    second = History(path)
    assert second.open() == []
    assert second.entries() == [{"id": 1, "who": "a", "state": "kept", "pause_ms": 1.5}]
    assert second.begin({"who": "b", "state": "refused"}) == 2


@pytest.mark.parametrize("state", ["begun", "watched"])
def test_what_was_under_way_when_the_node_ended_is_told(tmp_path: Path, state: str) -> None:
    path = tmp_path / "history.jsonl"
    _opened(path).begin({"who": "a", "state": state})
    again = History(path)
    assert [(one["id"], one["state"], one["cause"]) for one in again.open()] == [(1, "cut_off", CUT_OFF)]
    assert History(path).open() == []


def test_a_line_that_was_torn_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    _opened(path).begin({"state": "kept"})
    with path.open("a") as file:
        file.write('[1]\n{"id": "x"}\n{"id": 2, "sta')
    again = _opened(path)
    assert [one["id"] for one in again.entries()] == [1]
    assert again.begin({"state": "kept"}) == 2
    assert [one["id"] for one in _opened(path).entries()] == [1, 2]


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "ENTRIES_MAX", 3)
    path = tmp_path / "history.jsonl"
    kept = _opened(path)
    for _ in range(5):
        kept.begin({"state": "kept"})
    assert [one["id"] for one in kept.entries()] == [3, 4, 5]
    assert len(path.read_text().splitlines()) == 5
    assert [one["id"] for one in _opened(path).entries()] == [3, 4, 5]
    assert len(path.read_text().splitlines()) == 3


def test_a_long_list_of_modules_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LINE_BYTES_MAX", 100)
    path = tmp_path / "history.jsonl"
    _opened(path).begin({"state": "kept", "modules": {f"m{n}": "v" for n in range(50)}})
    assert _opened(path).entries()[0]["modules"] == "50 of them"


def test_outcomes_wait_for_a_disk_that_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "WAITING_MAX", 2)
    path = tmp_path / "history.jsonl"
    kept = _opened(path)
    for _ in range(3):
        kept.begin({"state": "begun"})
    with _unwritable(path):
        for number in (1, 2, 3):
            kept.go_on(number, state="kept")
        with pytest.raises(OSError, match="directory"):
            kept.flush()
        assert (kept.waiting, kept.lost) == (2, 1)
        with pytest.raises(OSError, match="directory"):
            kept.begin({"state": "begun"})
    assert [one["state"] for one in kept.entries()] == ["kept"] * 3, "what wasn't begun isn't remembered"
    kept.flush()
    kept.flush()
    assert [one["state"] for one in _opened(path).entries()] == ["cut_off", "kept", "kept"]


def test_a_piece_of_a_line_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk takes half of a line; what is written when there is room again stands on a line of its own."""
    path = tmp_path / "history.jsonl"
    kept = _opened(path)
    number = kept.begin({"state": "begun"})
    kept.go_on(number, state="kept")

    def full(descriptor: int) -> None:
        path.write_text(path.read_text()[:-9])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr("admin.reload.history.os.fsync", full)
        kept.flush()
    kept.flush()
    assert _opened(path).entries() == [{"id": 1, "state": "kept"}]
