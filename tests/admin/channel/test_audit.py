"""The audit: bounded, whole lines, nothing secret, and what looks can't push out what changes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from admin.channel.audit import HIDDEN, Audit
from admin.channel.keyring import Asker
from admin.channel.settings import AUDIT_KEPT, AUDIT_TEXT_MAX, FORBIDDEN_AT_ONCE
from admin.commands.table import Command, Context, Parameter, Role

ANNA = Asker("anna", Role.DEPLOYER, "k" * 40)


async def _run(context: Context, arguments: Mapping[str, Any]) -> Any:
    return None


def command(role: Role) -> Command:
    return Command(
        name="x",
        role=role,
        summary="Does.",
        help="Does.",
        example="x",
        run=_run,
        parameters=(
            Parameter(name="word", help="A word."),
            Parameter(name="pin", help="A secret.", secret=True, option=True, required=False),
        ),
    )


LOOK, CHANGE = command(Role.VIEWER), command(Role.OPERATOR)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_secret_argument_is_not_written_and_a_long_one_not_whole(tmp_path: Path) -> None:
    audit = Audit(tmp_path, 65_536, lambda: 0.0)
    arguments = {"word": "w" * 10_000, "pin": "123456"}
    with structlog.testing.capture_logs() as logs:
        audit.begun(ANNA, CHANGE, arguments)
        audit.ended(ANNA, CHANGE, arguments, "r" * 10_000, 0.0123)
    begun, ended = lines(tmp_path / "audit.log")
    assert begun["arguments"]["pin"] == HIDDEN
    assert len(begun["arguments"]["word"]) == AUDIT_TEXT_MAX
    assert len(ended["result"]) == AUDIT_TEXT_MAX
    assert ended["ms"] == 12
    assert "123456" not in (tmp_path / "audit.log").read_text() + str(logs)


def test_full_files_are_kept_up_to_a_number(tmp_path: Path) -> None:
    audit = Audit(tmp_path, 1_000, lambda: 0.0)
    for number in range(100):
        audit.ended(ANNA, LOOK, {"word": str(number), "pin": None}, "done", 0.0)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["looks.log", *(f"looks.log.{n}" for n in range(1, AUDIT_KEPT + 1))]
    assert all(path.stat().st_size <= 1_000 for path in tmp_path.iterdir())
    in_order = [f"looks.log.{n}" for n in range(AUDIT_KEPT, 0, -1)] + ["looks.log"]
    kept = [int(one["arguments"]["word"]) for name in in_order for one in lines(tmp_path / name)]
    assert kept == list(range(kept[0], 100))


def test_looks_cannot_push_out_changes(tmp_path: Path) -> None:
    audit = Audit(tmp_path, 1_000, lambda: 0.0)
    with structlog.testing.capture_logs():
        audit.ended(ANNA, CHANGE, {"word": "kept", "pin": None}, "done", 0.0)
    for _ in range(200):
        audit.ended(ANNA, LOOK, {"word": "x", "pin": None}, "done", 0.0)
        audit.refused(ANNA, "x", "wrong arguments")
    assert [one["arguments"]["word"] for one in lines(tmp_path / "audit.log")] == ["kept"]


def test_who_asks_for_more_than_his_role_allows_is_listed_with_the_changes_at_a_bounded_rate(
    tmp_path: Path,
) -> None:
    now = 0.0
    audit = Audit(tmp_path, 65_536, lambda: now)
    viewer = Asker("vera", Role.VIEWER, "v" * 40)
    with structlog.testing.capture_logs() as logs:
        for number in range(200):
            audit.forbidden(viewer, CHANGE, {"word": str(number), "pin": "123456"})
        audit.forbidden(Asker("will", Role.VIEWER, "w" * 40), CHANGE, None)
        now += 61
        audit.forbidden(viewer, CHANGE, {"word": "later", "pin": None})
    listed = lines(tmp_path / "audit.log")
    words = [one["arguments"].get("word") for one in listed]
    assert words == [*map(str, range(FORBIDDEN_AT_ONCE)), None, "later"]
    assert listed[0]["result"] == "refused: needs the role operator"
    assert listed[0]["arguments"]["pin"] == HIDDEN
    assert (listed[-2]["key"], listed[-2]["result"][-15:]) == ("will", "wrong arguments")
    assert listed[-1]["not_listed_before"] == 200 - FORBIDDEN_AT_ONCE
    assert len(lines(tmp_path / "looks.log")) == 200 - FORBIDDEN_AT_ONCE
    assert len(logs) == len(listed)
    assert "123456" not in str(logs)


def test_a_result_that_cannot_be_written_is_counted_and_logged(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "gone", 1_000, lambda: 0.0)
    with structlog.testing.capture_logs() as logs:
        audit.ended(ANNA, CHANGE, {"word": "x", "pin": "123456"}, "done", 0.0)
    assert audit.lost == 1
    assert logs[0]["event"] == "admin_audit_not_written"
    assert "123456" not in str(logs)
