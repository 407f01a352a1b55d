"""The conversation in a terminal: lines whose marks change in place, the connection's state, a line to type on.

prompt_toolkit runs on asyncio, so this part of the client does too. This module must never know what a message is made
of.
"""

from collections.abc import Callable

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream
from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Point
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import BufferControl, FormattedTextControl, HSplit, Layout, Window
from prompt_toolkit.layout.processors import BeforeInput
from prompt_toolkit.styles import Style

from client.chat.conversation import Conversation, Entry, Mark
from client.chat.talker import Talker
from client.client import Client
from client.numbers import show_number

_STYLE = Style.from_dict(
    {
        "ours": "ansicyan",
        "theirs": "bold",
        "notice": "italic ansiyellow",
        "mark": "ansigreen",
        "mark.bad": "ansired",
        "status": "reverse",
    }
)
LINES_WAITING_MAX = 100
"""Lines typed or pasted that may wait to be acted on."""

_PAGE = 10
"""Lines that a page key moves."""


def render(conversation: Conversation) -> StyleAndTextTuples:
    """The lines as prompt_toolkit wants them."""
    lines: StyleAndTextTuples = []
    for entry in conversation:
        if lines:
            lines.append(("", "\n"))
        if not entry.peer:
            lines.append(("class:notice", f"* {entry.text}"))
            continue
        lines.append(("class:ours" if entry.ours else "class:theirs", f"{entry.heading}  "))
        lines.append(("", entry.text))
        if entry.mark is not None:
            style = "class:mark.bad" if entry.mark >= Mark.EXPIRED else "class:mark"
            lines.append((style, f"  {entry.mark.sign}"))
    return lines


class Screen:
    """The layout and its keys. Lines typed come out of `lines`."""

    def __init__(self) -> None:
        self.conversation = Conversation(self._changed)
        self.awaits_pin: Callable[[], bool] = lambda: False
        self._back = 0
        self._put, self.lines = anyio.create_memory_object_stream[str](LINES_WAITING_MAX)
        self._input = Buffer(accept_handler=self._accept, multiline=False)
        entries = FormattedTextControl(
            self._entries_shown, get_cursor_position=self._cursor, show_cursor=False
        )
        typing = BufferControl(self._input, input_processors=[BeforeInput(self._prompt)])
        status = FormattedTextControl(self._status_shown)
        root = HSplit(
            [
                Window(entries, wrap_lines=True),
                Window(status, height=1, style="class:status"),
                Window(typing, height=1),
            ]
        )
        self.application: Application[None] = Application(
            layout=Layout(root, focused_element=typing),
            key_bindings=self._keys(),
            style=_STYLE,
            full_screen=True,
        )

    def _entries_shown(self) -> StyleAndTextTuples:
        return render(self.conversation)

    def _status_shown(self) -> str:
        return f" {self.conversation.status}"

    def _changed(self, entry: Entry | None, new: bool) -> None:
        if new and self._back:
            self._back += 1  # the reader of old lines keeps them in view
        self.application.invalidate()

    def _prompt(self) -> str:
        if self.awaits_pin():
            return "PIN: "
        peer = self.conversation.peer
        return f"{show_number(peer)}> " if peer else "> "

    def _cursor(self) -> Point:
        return Point(0, max(0, len(self.conversation) - 1 - self._back))

    def _accept(self, buffer: Buffer) -> bool:
        try:
            self._put.send_nowait(buffer.text)
        except anyio.WouldBlock:
            self.conversation.notice("one moment: the lines before this one aren't on disk yet")
            return True  # keeps the text
        self._back = 0
        return False

    def leave(self) -> None:
        """End the application; more than once does nothing more."""
        if self.application.is_running and not self.application.is_done:
            self.application.exit()

    def close(self) -> None:
        """Nothing is typed any more."""
        self._put.close()
        self.lines.close()

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("c-c")
        @keys.add("c-d")
        def leave(event: KeyPressEvent) -> None:
            self.leave()

        @keys.add("pageup")
        def up(event: KeyPressEvent) -> None:
            self._back = min(self._back + _PAGE, max(0, len(self.conversation) - 1))

        @keys.add("pagedown")
        def down(event: KeyPressEvent) -> None:
            self._back = max(0, self._back - _PAGE)

        return keys


async def talk_on_screen(client: Client, number: int, peer: int | None) -> bool:
    """Until the person leaves; whether the device was registered in the end. Under asyncio."""
    screen = Screen()
    screen.conversation.peer = peer
    talker = Talker(client, number, screen.conversation)
    screen.awaits_pin = lambda: talker.awaits_pin
    screen.conversation.notice("/help tells what can be typed here; Ctrl-D leaves")
    try:
        async with anyio.create_task_group() as group:
            talker.start(group)
            group.start_soon(_obey, talker, screen.lines)
            group.start_soon(_leave, talker, screen)
            await screen.application.run_async()
            group.cancel_scope.cancel()
    finally:
        screen.close()
    return client.number is not None


async def _obey(talker: Talker, lines: MemoryObjectReceiveStream[str]) -> None:
    await talker.begin()
    async for line in lines:
        await talker.typed(line)


async def _leave(talker: Talker, screen: Screen) -> None:
    await talker.quit.wait()
    screen.leave()
