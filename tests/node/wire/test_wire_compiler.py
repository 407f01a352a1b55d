"""generated.py is what the schema says now, and the schema fits the limits."""

from pathlib import Path

import pytest

from node.wire import compiler, limits
from node.wire.cddl import parse
from node.wire.schema import Bytes, Frame, Repeat, Text, Whole, depth, largest
from tests.node.wire.strategies import CLIENT_FRAMES, RULES, SERVER_FRAMES

BEFORE_LOGIN = {
    "client-hello", "server-hello", "pin-request", "pin-sent", "register-request", "registered", "login-request",
    "welcome", "ping", "bye", "error", "moved",
}  # fmt: skip


def test_the_generated_module_is_up_to_date() -> None:
    assert compiler.GENERATED.read_text() == compiler.compile_schema(compiler.SCHEMA.read_text())
    assert compiler.main(["--check"]) == 0


def test_the_command_writes_and_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compiler, "GENERATED", tmp_path / "generated.py")
    assert compiler.main(["--check"]) == 1
    assert "not up to date" in capsys.readouterr().err
    assert compiler.main([]) == 0
    assert compiler.main(["--check"]) == 0
    (tmp_path / "generated.py").write_text("# something else\n")
    assert compiler.main(["--check"]) == 1

    wrong = tmp_path / "wrong.cddl"
    wrong.write_text("client-frame = x\nserver-frame = {}\n")
    monkeypatch.setattr(compiler, "SCHEMA", wrong)
    capsys.readouterr()
    assert compiler.main([]) == 1
    assert capsys.readouterr().err == "wrong.cddl: line 2: not supported: maps: use an array\n"


@pytest.mark.parametrize("frame", CLIENT_FRAMES + SERVER_FRAMES, ids=lambda frame: frame.name)
def test_every_frame_fits_the_limits(frame: Frame) -> None:
    limit = limits.FRAME_MAX_BEFORE_LOGIN if frame.name in BEFORE_LOGIN else limits.FRAME_MAX
    assert largest(frame.array) <= limit
    assert depth(frame.array) <= limits.DEPTH_MAX


def test_limits_are_those_of_the_schema() -> None:
    def range_of(rule: str) -> tuple[int, int]:
        type_ = RULES[rule].type
        assert isinstance(type_, Whole | Bytes | Text)
        return type_.low, type_.high

    def member(side: tuple[Frame, ...], frame: str, name: str) -> tuple[int, int]:
        array = next(each.array for each in side if each.name == frame)
        type_ = next(each.type for each in array.members if each.name == name)
        if isinstance(type_, Repeat):
            return 0, type_.most
        assert isinstance(type_, Whole | Bytes | Text)
        return type_.low, type_.high

    assert range_of("user") == (1, limits.USER_MAX)
    assert range_of("ordinal") == (1, limits.NUMBER_MAX)
    assert range_of("stream") == (limits.STREAM_SIZE,) * 2
    assert range_of("body") == (0, limits.BODY_MAX)
    assert range_of("retry") == (0, limits.RETRY_MS_MAX)
    assert range_of("feature") == (1, limits.FEATURE_SIZE_MAX)
    assert range_of("remark") == (0, limits.TEXT_MAX)
    assert member(CLIENT_FRAMES, "client-hello", "features") == (0, limits.FEATURES_MAX)
    assert member(CLIENT_FRAMES, "client-hello", "agent") == (0, limits.AGENT_MAX)
    assert member(CLIENT_FRAMES, "client-hello", "highest") == (1, limits.VERSION_MAX)
    assert member(CLIENT_FRAMES, "register-request", "pin") == (limits.PIN_SIZE_MIN, limits.PIN_SIZE_MAX)
    assert member(CLIENT_FRAMES, "register-request", "key") == (limits.KEY_SIZE,) * 2
    assert member(CLIENT_FRAMES, "login-request", "signature") == (limits.SIGNATURE_SIZE,) * 2
    assert member(CLIENT_FRAMES, "ping", "token") == (0, limits.TOKEN_MAX)
    assert member(SERVER_FRAMES, "server-hello", "nonce") == (limits.NONCE_SIZE,) * 2
    assert member(SERVER_FRAMES, "server-hello", "frame-max") == (limits.FRAME_MAX_LEAST, limits.FRAME_MAX)
    assert member(SERVER_FRAMES, "server-hello", "window") == (1, limits.WINDOW_MAX)
    assert member(SERVER_FRAMES, "moved", "host") == (1, limits.HOST_MAX)
    assert member(SERVER_FRAMES, "error", "code") == (0, limits.CODE_MAX)


def test_verbs_are_those_of_the_schema() -> None:
    from node.wire import verbs

    words = {"client-hello": "HELLO", "server-hello": "HELLO", "pin-request": "PIN", "pin-sent": "PIN",
             "register-request": "REGISTER", "registered": "REGISTER", "login-request": "LOGIN",
             "welcome": "LOGIN"}  # fmt: skip
    for frame in CLIENT_FRAMES + SERVER_FRAMES:
        assert getattr(verbs, words.get(frame.name, frame.name.upper())) == frame.verb


def test_the_schema_says_nothing_twice() -> None:
    """A rule of one name keeps one meaning on both sides: the generated functions are shared."""
    both = {frame.name: frame for frame in CLIENT_FRAMES}
    assert {frame.name for frame in SERVER_FRAMES if frame.name in both} == {"confirm", "ping", "bye"}
    assert parse(compiler.SCHEMA.read_text()) == RULES
