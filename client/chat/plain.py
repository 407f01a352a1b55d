"""The conversation line by line, for pipes and scripts: what is said on standard output, the rest on standard error.

    < +15551230002 hello          received
    > +15551230002 3 hi           sent, with its number
    ✓ +15551230002 3              accepted; ✓✓ delivered; "✓✓ read"; "✗ expired"; "✗ refused"

When the input ends, it waits until the node has everything and what waited there is shown, then leaves. This module
must never know what a message is made of.
"""

import sys
from typing import TextIO

import anyio
from anyio.to_thread import run_sync

from client.chat.conversation import Conversation, Entry, Mark
from client.chat.talker import Talker
from client.client import Client
from client.errors import ClientError
from client.numbers import show_number

QUIET_S = 2.0
"""When the input has ended: so long without a message means that no more wait."""


class PlainView:
    """Writes what changes."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out, self._err = out, err

    def changed(self, entry: Entry | None, new: bool) -> None:
        """For the conversation to call."""
        if entry is None:
            return
        if not entry.peer:
            self._err.write(f"* {entry.text}\n")
            self._err.flush()
            return
        peer = show_number(entry.peer)
        if not entry.ours:
            self._out.write(f"< {peer} {entry.text}\n")
        elif new and entry.mark is Mark.WAITING:
            self._out.write(f"> {peer} {entry.number} {entry.text}\n")
        elif entry.mark is not None:
            self._out.write(f"{entry.mark.sign} {peer} {entry.number}\n")
        self._out.flush()


async def talk_plainly(
    client: Client,
    number: int,
    peer: int | None,
    patience: float,
    source: TextIO = sys.stdin,
    out: TextIO = sys.stdout,
    err: TextIO = sys.stderr,
) -> bool:
    """Read lines until they end or say /quit; whether everything went well.

    Args:
        patience: seconds to wait at the end of the input for the node to have everything.
    """
    conversation = Conversation(PlainView(out, err).changed)
    conversation.peer = peer
    talker = Talker(client, number, conversation)
    async with anyio.create_task_group() as group:
        talker.start(group)
        await talker.begin()
        while not talker.quit.is_set():
            # A thread that nobody waits for any more may go on reading: the process is about to end.
            line = await run_sync(source.readline, abandon_on_cancel=True)
            if not line:
                await _finish(talker, client, patience)
                break
            await talker.typed(line)
        group.cancel_scope.cancel()
    return not talker.failed


async def _finish(talker: Talker, client: Client, patience: float) -> None:
    if client.number is None:
        talker.fail("the input ended before a PIN was typed")
        return
    try:
        with anyio.fail_after(patience):
            await talker.wait_settled(QUIET_S)
    except TimeoutError:
        talker.fail(f"not everything is accepted after {patience:.0f} s; the rest goes out the next time")
    except ClientError:
        pass  # the talker has said it
