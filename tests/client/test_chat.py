"""`waystation chat`: what typed lines mean, what is shown, line by line and on a screen, against the fake node."""

import io
from collections.abc import Callable
from pathlib import Path
from unittest.mock import ANY

import anyio
import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.formatted_text import fragment_list_to_text
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from client.chat.conversation import ENTRIES_MAX, Conversation, Entry, Mark, harmless
from client.chat.plain import talk_plainly
from client.chat.screen import render, talk_on_screen
from client.chat.typing import Choose, Command, Mistake, Nothing, Say, understand
from client.client import Client
from client.events import Kind, Receipt
from client.trust import Plain
from tests.client.fake_node import FakeNode
from tests.client.fake_server import FAST, Serving, on_both, serve

ALICE, BOB = 15551230001, 15551230002
STREAM = b"streams!"


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("", Nothing()),
        ("  ", Nothing()),
        ("hello there", Say(None, "hello there")),
        ("+15551230002 hello there", Say(BOB, "hello there")),
        ("+15551230002", Choose(BOB)),
        ("/to +15551230002", Choose(BOB)),
        ("/quit", Command("quit")),
        ("/help", Command("help")),
        ("//quit", Say(None, "/quit")),
        ("/dance", Mistake("/dance is no command here: try /help")),
    ],
)
def test_lines_are_understood(line: str, meaning: object) -> None:
    assert understand(line) == meaning


@pytest.mark.parametrize("line", ["/to 5551230002", "/to", "+1555x hello", "/quit now"])
def test_mistakes_are_explained(line: str) -> None:
    assert isinstance(understand(line), Mistake)


def test_what_others_write_cannot_play_with_the_terminal() -> None:
    assert harmless("a\x1b[2Jb\x07\u202ec\u009bd") == "a\ufffd[2Jb\ufffd\ufffdc\ufffdd"
    assert harmless("two\nlines, 👩‍👩‍👧 and ünïcode") == "two lines, 👩‍👩‍👧 and ünïcode"


def test_marks_rise_and_never_fall() -> None:
    changes: list[tuple[Entry | None, bool]] = []
    talk = Conversation(lambda entry, new: changes.append((entry, new)))
    entry = talk.sent(BOB, STREAM, 1, "hello")
    talk.receipt(Receipt(Kind.READ, BOB, STREAM, 1, 1))
    talk.receipt(Receipt(Kind.DELIVERED, BOB, STREAM, 1, 1))
    talk.raise_mark(entry, Mark.ACCEPTED)
    assert entry.mark is Mark.READ
    assert len(changes) == 2
    assert fragment_list_to_text(render(talk)) == "→ +15551230002 #1  hello  ✓✓ read"


def test_messages_from_before_are_shown_by_number() -> None:
    talk = Conversation(lambda entry, new: None)
    talk.receipt(Receipt(Kind.DELIVERED, BOB, STREAM, 7, 8))
    talk.receipt(Receipt(Kind.READ, BOB, STREAM, 1, 8))
    assert [(entry.number, entry.mark) for entry in talk][:2] == [(7, Mark.READ), (8, Mark.READ)]


def test_old_lines_go() -> None:
    talk = Conversation(lambda entry, new: None)
    for number in range(1, ENTRIES_MAX + 10):
        talk.sent(BOB, STREAM, number, "x")
    assert len(talk) == ENTRIES_MAX
    assert next(iter(talk)).number == 10
    assert len(talk._ours) == ENTRIES_MAX


async def plainly(
    path: Path, server: Serving, number: int, text: str, patience: float = 20.0
) -> tuple[bool, list[str], str]:
    out, err = io.StringIO(), io.StringIO()
    async with Client.open(path / str(number), server.address, tls=Plain(), settings=FAST) as client:
        good = await talk_plainly(client, number, None, patience, io.StringIO(text), out, err)
    return good, out.getvalue().splitlines(), err.getvalue()


@on_both
async def test_line_by_line(tmp_path: Path) -> None:
    async with serve() as server:
        assert await plainly(tmp_path, server, BOB, "123456\n") == (True, [], ANY)
        good, out, err = await plainly(tmp_path, server, ALICE, "123456\n+15551230002 hello\nhow are you\n")
        assert good
        assert sorted(out) == [
            "> +15551230002 1 hello",
            "> +15551230002 2 how are you",
            "✓ +15551230002 1",
            "✓ +15551230002 2",
        ]
        assert "a PIN was sent to +15551230001" in err
        good, out, _ = await plainly(tmp_path, server, BOB, "")
        assert (good, out) == (True, ["< +15551230001 hello", "< +15551230001 how are you"])
        good, out, _ = await plainly(tmp_path, server, ALICE, "/status\n/help\n")
        assert good
        assert set(out) <= {f"{sign} +15551230002 {n}" for sign in ("✓✓", "✓✓ read") for n in (1, 2)}


@on_both
async def test_line_by_line_says_what_went_wrong(tmp_path: Path) -> None:
    async with serve() as server:
        good, _, err = await plainly(tmp_path, server, ALICE, "000000\n")
        assert not good
        assert "pin_refused" in err
        good, _, err = await plainly(tmp_path, server, ALICE, "123456\nto nobody\n+1555 refused\n")
        assert good
        assert "to whom?" in err
        server.node.faults = ["refuse"]
        good, out, err = await plainly(tmp_path, server, ALICE, "+1555 refused\n")
        assert not good
        assert "✗ refused +1555 2" in out
        assert "mailbox_full" in err
    good, out, err = await plainly(tmp_path, server, ALICE, "+1555 nobody listens\n", patience=0.2)
    assert not good
    assert out == ["> +1555 3 nobody listens"]
    assert "the rest goes out the next time" in err


def on_screen(main: Callable[[PipeInput], object]) -> None:
    """Run with a terminal that is a pipe."""

    async def run() -> None:
        with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
            with anyio.fail_after(30):
                await main(keys)  # type: ignore[misc]

    anyio.run(run, backend="asyncio")


def test_on_a_screen(tmp_path: Path) -> None:
    async def main(keys: PipeInput) -> None:
        async with (
            serve(node=FakeNode(window=64)) as server,
            Client.open(tmp_path / "b", server.address, tls=Plain(), settings=FAST) as bob,
        ):
            await bob.request_pin(BOB)
            await bob.register("123456")

            async def answer() -> None:
                async for message in bob.messages(auto_ack=True):
                    await bob.send_text(ALICE, f"you said {message.text}")
                    await message.mark_read()
                    if message.text == "hello":
                        async for receipt in bob.receipts():
                            if receipt.kind is Kind.READ:
                                keys.send_text("/quit\r")

            async with (
                Client.open(tmp_path / "a", server.address, tls=Plain(), settings=FAST) as alice,
                anyio.create_task_group() as group,
            ):
                group.start_soon(answer)
                keys.send_text("123456\r/to +15551230002\rhello\r")
                assert await talk_on_screen(alice, ALICE, None)
                group.cancel_scope.cancel()

    on_screen(main)


def test_leaving_the_screen_with_a_key(tmp_path: Path) -> None:
    async def main(keys: PipeInput) -> None:
        async with (
            serve() as server,
            Client.open(tmp_path / "a", server.address, tls=Plain(), settings=FAST) as alice,
        ):
            keys.send_text("\x04")
            assert not await talk_on_screen(alice, ALICE, None)

    on_screen(main)
