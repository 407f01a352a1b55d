"""The channel as it is met: by those who may, by those who may not, and by those who do what they shouldn't."""

import json
import os
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import structlog
import trio

from admin.channel.client import Client, Target
from admin.channel.errors import NotAllowed, NotReached, PlaceUnusable, Refused
from admin.channel.keyring import revoke
from admin.channel.settings import COMMANDS_PER_KEY_MAX, MESSAGE_BYTES_MAX, REQUEST_BYTES_MAX
from replication.zeromq.keys import make_keys
from tests.admin.channel.channels import GIVE_UP_S, Channel, RawClient, channel_on


@pytest.fixture
async def channel(tmp_path: Path) -> AsyncIterator[Channel]:
    async with channel_on(tmp_path) as made:
        yield made
        assert await made.ask("echo", by="viewer"), "whatever was done to it, it still serves"


def request(number: int, *words: str, **more: object) -> bytes:
    return json.dumps({"version": 1, "id": number, "words": words, **more}).encode()


# ---- those who may -----------------------------------------------------------------------------------------


async def test_a_known_key_is_answered_in_its_role(channel: Channel) -> None:
    assert await channel.ask("echo", by="viewer") == {"asker": "the-viewer", "role": "viewer"}
    assert await channel.ask("change", by="operator") == "changed"
    assert await channel.ask("load", "code", by="deployer") == "loaded"


async def test_the_machine_itself_has_a_key_from_the_first_start(channel: Channel, tmp_path: Path) -> None:
    target = Target.find(str(tmp_path))

    def talk() -> object:
        with Client(target) as client:
            return client.ask(["echo"])

    assert await trio.to_thread.run_sync(talk) == {"asker": "local", "role": "deployer"}


async def test_lines_come_before_the_result(channel: Channel) -> None:
    lines: list[object] = []
    assert await channel.ask("count", item=lines.append) == 3
    assert lines == [{"number": 0}, {"number": 1}, {"number": 2}]


async def test_a_client_is_served_again_and_again(channel: Channel) -> None:
    def talk() -> list[object]:
        with Client(channel.target("operator")) as client:
            return [client.ask(["change"]) for _ in range(10)]

    assert await trio.to_thread.run_sync(talk) == ["changed"] * 10


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fail"], "it can't: try another"),
        (["crash"], "see the node's log"),
        (["odd"], "its result can't be shown"),
        (["large"], "ask for less of it"),
        (["eco"], "did you mean 'echo'"),
        (["echo", "x"], "one word too many"),
    ],
)
async def test_what_cannot_be_done_is_said(channel: Channel, words: list[str], said: str) -> None:
    with pytest.raises(Refused, match=said) as raised, structlog.testing.capture_logs():
        await channel.ask(*words)
    assert "secret" not in str(raised.value)


async def test_a_command_ends_when_its_asker_says_so(channel: Channel) -> None:
    told: list[object] = []
    with pytest.raises(Refused, match="ended, as was asked"):
        await channel.ask("wait", item=told.append, stop=lambda: bool(told))
    assert told == ["waiting"]
    assert channel.counted("commands", "cancelled") == 1
    assert channel.counted("running") == 0


async def test_over_tcp_it_is_the_same(tmp_path: Path) -> None:
    async with channel_on(tmp_path, listen="127.0.0.1:0") as channel:
        assert channel.place.address is not None
        assert channel.place.address.port > 0
        assert await channel.ask("echo", by="viewer")
        assert Target.find(str(tmp_path)).place == channel.place
        with pytest.raises(NotAllowed):
            await channel.ask("echo", by=make_keys())


async def test_a_directory_may_be_deeper_than_a_sockets_path(tmp_path: Path) -> None:
    data = tmp_path / ("d" * 100) / ("e" * 100)
    data.mkdir(parents=True)
    async with channel_on(data) as channel:
        assert await channel.ask("echo", by="viewer")


async def test_what_a_killed_node_left_is_taken_over(tmp_path: Path) -> None:
    async with channel_on(tmp_path):
        pass
    (tmp_path / "admin" / "socket").touch()
    (tmp_path / "admin" / "authorised").unlink()
    (tmp_path / "admin" / "address").write_text("ipc:///nowhere\n")
    async with channel_on(tmp_path) as channel:
        assert await channel.ask("echo", by="viewer")


async def test_an_address_that_cannot_be_listened_on_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlaceUnusable, match=r"set admin\.listen"):
        async with channel_on(tmp_path, listen="ipc://relative"):
            pass
    with pytest.RaisesGroup(PlaceUnusable, allow_unwrapped=True, flatten_subgroups=True):
        async with channel_on(tmp_path, listen=f"ipc://{tmp_path}/not/there"):
            pass


async def test_nobody_else_on_the_machine_can_open_its_files(channel: Channel) -> None:
    folder = channel.folder
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    for path in (folder.socket, folder.node_key, folder.local_key, folder.authorised):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


async def test_at_its_end_nothing_is_left_that_a_client_would_wait_for(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    async with channel_on(tmp_path) as channel:
        await channel.ask("echo")
    with pytest.raises(NotReached, match="no node runs"):
        Target.find(str(tmp_path))
    assert not (tmp_path / "admin" / "socket").exists()
    assert len(set(os.listdir("/proc/self/fd")) - before) == 0


# ---- those who may not -------------------------------------------------------------------------------------


async def test_a_wrong_key_gets_nothing_and_is_counted(channel: Channel) -> None:
    with pytest.raises(NotAllowed):
        await channel.ask("echo", by=make_keys())
    assert channel.counted("connections_refused") == 1
    assert channel.counted("requests") == 0


async def test_who_takes_the_node_for_another_gets_nothing(channel: Channel) -> None:
    with RawClient(channel, channel.keys["deployer"], curve_serverkey=make_keys().public.encode()) as raw:
        raw.push(request(1, "echo"))
        await channel.until("handshakes_failed")
        assert not raw.socket.receive_nowait()
    assert channel.counted("requests") == 0


async def test_without_a_key_nothing_is_answered_and_it_is_counted(channel: Channel) -> None:
    for options in ({}, {"plain_username": b"admin", "plain_password": b"admin"}):
        with RawClient(channel, None, **options) as raw:
            raw.push(request(1, "echo"))
            await channel.until("handshakes_failed", at_least=1 + bool(options))
            assert not raw.socket.receive_nowait()
    assert channel.counted("requests") == 0


async def test_who_speaks_another_protocol_gets_no_answer_but_zeromqs_greeting(tmp_path: Path) -> None:
    async with channel_on(tmp_path, listen="127.0.0.1:0") as channel:
        assert channel.place.address is not None
        stream = await trio.open_tcp_stream("127.0.0.1", channel.place.address.port)
        async with stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b"x" * 1_000)
            heard = b""
            with trio.fail_after(GIVE_UP_S), suppress(trio.BrokenResourceError):  # a reset is an end, too
                while data := await stream.receive_some():
                    heard += data
        assert len(heard) <= 64, "a ZMTP greeting (ZeroMQ RFC 23) and nothing of ours"
        assert channel.counted("requests") == 0


async def test_a_viewer_cannot_do_what_an_operator_or_a_deployer_can(channel: Channel) -> None:
    for by, words, needs in (
        ("viewer", ("change",), "operator"),
        ("viewer", ("load", "code"), "deployer"),
        ("operator", ("load", "code"), "deployer"),
    ):
        with pytest.raises(Refused, match=f"is for the role {needs}"):
            await channel.ask(*words, by=by)
    assert channel.counted("commands", "refused_role") == 3
    assert [(one["key"], one["command"], one["result"]) for one in channel.audited()] == [
        ("the-viewer", "change", "refused: needs the role operator"),
        ("the-viewer", "load code", "refused: needs the role deployer"),
        ("the-operator", "load code", "refused: needs the role deployer"),
    ]


async def test_a_key_that_was_taken_off_the_list_is_not_heard_on_its_old_connection(channel: Channel) -> None:
    with RawClient(channel, channel.keys["operator"]) as raw:
        await raw.send(request(1, "change"))
        assert (await raw.answer()).data == "changed"
        await raw.send(request(2, "wait"))
        assert (await raw.answer()).data == "waiting"
        revoke(channel.folder.authorised, "the-operator")
        assert (await raw.answer()).text.startswith("ended"), "what it had begun ends"
        await raw.send(request(3, "change"))
        await channel.until("refused", "revoked")
        assert not raw.socket.receive_nowait()
    with pytest.raises(NotAllowed):
        await channel.ask("echo", by="operator")


# ---- those who do what they shouldn't ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[]",
        b'{"version": 1}',
        b'{"version": 1, "id": "x"}',
        b'{"version": 1, "id": 0, "words": ["echo"]}',
        b'{"version": 1, "id": -3, "words": ["echo"]}',
        b'{"version": 2, "id": 1, "words": ["echo"]}',
        b'{"version": 1, "id": 1, "words": [["echo"]]}',
        b'{"version": 1, "id": 1e400, "words": []}',
        b'{"version": 1, "id": 1, "x": ' + b"[" * 8_000 + b"]" * 8_000 + b"}",
        b'{"version": 1, "id": 1, "words": [' + b'"x",' * 300 + b'"x"]}',
    ],
    ids=lambda data: repr(data[:50]),
)
async def test_a_malformed_request_is_refused_and_counted(channel: Channel, data: bytes) -> None:
    with RawClient(channel, channel.keys["deployer"]) as raw:
        await raw.send(data)
        answer = await raw.answer()
        assert (answer.id, answer.kind) == (0, "error")
    assert channel.counted("refused", "malformed") == 1


async def test_a_request_of_several_frames_is_refused(channel: Channel) -> None:
    with RawClient(channel, channel.keys["deployer"]) as raw:
        await raw.send(request(1, "echo"), b"more")
        assert (await raw.answer()).kind == "error"


async def test_an_oversize_request_is_refused_and_a_larger_one_ends_its_connection(channel: Channel) -> None:
    with RawClient(channel, channel.keys["deployer"]) as raw:
        await raw.send(request(1, "echo", "x" * REQUEST_BYTES_MAX))
        assert "are allowed" in (await raw.answer()).text
        assert channel.counted("refused", "oversize") == 1
        await raw.send(b"x" * (MESSAGE_BYTES_MAX + 1))
        raw.push(request(2, "echo"))
        # Whether the second went before the connection ended is ZeroMQ's; it is not heard.
        assert await channel.ask("echo", by="viewer")
        assert not raw.socket.receive_nowait()
    assert channel.counted("requests") == 2


async def test_of_a_thousand_requests_at_once_no_more_are_served_than_may(tmp_path: Path) -> None:
    async with channel_on(tmp_path, requests_per_s=10, requests_burst=20) as channel:
        with RawClient(channel, channel.keys["viewer"]) as raw:
            for number in range(1, 1_001):
                await raw.send(request(number, "echo"))
            assert await channel.ask("change", by="operator") == "changed", "another key is served meanwhile"
            await channel.until("requests", at_least=1_001)
        refused = channel.counted("refused", "rate") + channel.counted("refused", "busy")
        await channel.until("commands", "done", at_least=1_001 - refused)
        assert channel.counted("commands", "done") == 1_001 - refused
        assert channel.counted("refused", "rate") > 800


async def test_commands_that_run_are_bounded_for_a_key_and_another_has_places_left(channel: Channel) -> None:
    with RawClient(channel, channel.keys["viewer"]) as raw:
        for number in range(1, COMMANDS_PER_KEY_MAX + 1):
            await raw.send(request(number, "wait"))
            assert (await raw.answer()).data == "waiting"
        await raw.send(request(1, "wait"))
        assert "runs already" in (await raw.answer()).text
        await raw.send(request(99, "echo"))
        assert "wait for one to end" in (await raw.answer()).text
        assert channel.counted("refused", "busy") == 1
        assert await channel.ask("echo", by="operator")
        for number in range(1, COMMANDS_PER_KEY_MAX + 1):
            await raw.send(request(number, cancel=True))
            assert (await raw.answer()).kind == "error"


# ---- what is written down ------------------------------------------------------------------------------------


async def test_every_change_is_written_down_before_and_after(channel: Channel) -> None:
    await channel.ask("change", by="operator")
    begun, ended = channel.audited()
    assert {**begun, "result": ""} == {
        "time": "2027-01-15T08:00:00.000+00:00",
        "key": "the-operator",
        "role": "operator",
        "command": "change",
        "arguments": {},
        "result": "",
    }
    assert (begun["result"], ended["result"]) == ("begun", "done")


async def test_what_cannot_be_written_down_is_not_done(channel: Channel) -> None:
    path = channel.folder.path / "audit.log"
    path.mkdir()
    with structlog.testing.capture_logs(), pytest.raises(Refused, match="audit can't be written"):
        await channel.ask("change", by="operator")
    assert channel.counted("commands", "unaudited") == 1
    path.rmdir()
