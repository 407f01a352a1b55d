"""The process that is to succeed this one: started, asked whether code and configuration are of use, given everything.

All of it blocks, and belongs into a thread. Whatever goes wrong before `go`, the process is ended, and this one serves
on.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from admin.upgrade import passing
from admin.upgrade.errors import ChannelLost, HungUp, SuccessorFailed
from admin.upgrade.passing import Channel
from admin.upgrade.predecessor import VARIABLE, Greeting
from node.handing import state
from node.handing.freezing import Cargo
from node.handing.state import FORMAT

CHECK_S_MAX: Final = 60.0
"""From the start of the process until it has imported everything and read its configuration."""
WORD_S_MAX: Final = 5.0
"""From the first byte of a short message to its last."""
TAKE_S_MAX: Final = 60.0
"""From the first byte of the cargo until the store is open there and everything is in place."""
SAID_BYTES_MAX: Final = 4_000
"""Of what it writes on standard error, the end is told."""
HANG_UP_S: Final = 5.0
"""Between its last word and its end."""
_END_S: Final = 10.0


def command_line(given: str | None) -> list[str]:
    """What starts this node again: as it was started, or with another `waystation`."""
    if given is not None:
        return [given, *sys.argv[1:]]
    return [sys.executable, *sys.orig_argv[1:]]


class Successor:
    """`greeting` is there after `check`."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it.

        Raises:
            SuccessorFailed
        """
        self.greeting: Greeting | None = None
        self._said = b""
        self._until = time.monotonic() + CHECK_S_MAX
        self._has_ended_output = False
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(writing, True)
        error = os.dup(2)
        self._channel = Channel(ours, CHECK_S_MAX)
        self._output = reading
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - a deployer may run what he likes
                    list(argv),
                    stdin=subprocess.DEVNULL,
                    stderr=writing,
                    env={**environment, VARIABLE: f"{theirs.fileno()}:{error}"},
                    pass_fds=(theirs.fileno(), error),
                )
        except OSError as failed:
            self._close()
            raise SuccessorFailed(f"{argv[0]} can't be started: {failed.strerror}") from None
        finally:
            os.close(writing)
            os.close(error)

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self, seconds_max: float) -> Greeting | None:
        """Whether it has imported everything and read its configuration, in so many seconds. None: not yet.

        Raises:
            SuccessorFailed: it can't, or has had CHECK_S_MAX in all. It is ended; what it said last is in the text.
        """
        try:
            if not self._wait_for_word(time.monotonic() + seconds_max):
                if time.monotonic() < self._until:
                    return None
                raise ChannelLost(f"it was not ready to take over within {CHECK_S_MAX:.0f} s")
            self._channel.patience(WORD_S_MAX)
            kind, payload = self._channel.receive(passing.CHECKED, passing.FAILED)
            if kind == passing.FAILED:
                raise ChannelLost(payload.decode(errors="replace"))
            greeting = msgspec.msgpack.decode(payload, type=Greeting)
            if FORMAT not in greeting.formats:
                raise ChannelLost(
                    f"it is of version {greeting.version}, which can't take over from this one: a restart can"
                )
        except (ChannelLost, msgspec.ValidationError, msgspec.DecodeError) as error:
            raise self._useless(error) from None
        self.greeting = greeting
        self._echo()
        return greeting

    def _wait_for_word(self, until: float) -> bool:
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        if not self._has_ended_output:
            poll.register(self._output, select.POLLIN)
        while ready := {fd for fd, _ in poll.poll(max(0.0, until - time.monotonic()) * 1000)}:
            if self._output in ready and not self._listen():
                self._has_ended_output = True
                poll.unregister(self._output)
            if self._channel.fileno() in ready:
                return True
        return False

    def hand_over(self, cargo: Cargo) -> None:
        """Give it everything, and wait until it holds it.

        Raises:
            SuccessorFailed: it is ended; everything is still here, too.
        """
        channel = self._channel
        channel.patience(TAKE_S_MAX)
        try:
            channel.send(passing.CARGO, state.encode(cargo.handed))
            channel.send_descriptors(cargo.descriptors)
            kind, payload = channel.receive(passing.TAKEN, passing.FAILED)
            if kind == passing.FAILED:
                raise ChannelLost(payload.decode(errors="replace"))
        except ChannelLost as error:
            raise self._useless(error) from None

    def go(self) -> None:
        """It serves from here on, even if this process dies now."""
        with contextlib.suppress(ChannelLost):
            self._channel.send(passing.GO)

    def end(self) -> None:
        """Call it off: when this returns, nothing of it is left."""
        self._process.kill()
        self._wait(_END_S)
        self._listen()
        self._close()

    def _wait(self, seconds_max: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds_max)

    def _close(self) -> None:
        self._channel.close()
        if self._output >= 0:
            os.close(self._output)
            self._output = -1

    def _listen(self) -> bool:
        """Take in what it has written. False: there will be no more."""
        while self._output >= 0:
            try:
                data = os.read(self._output, 65_536)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._said = (self._said + data)[-SAID_BYTES_MAX:]
        return False

    def _echo(self) -> None:
        """What it said while it was checked belongs into the log."""
        self._listen()
        if self._said:
            sys.stderr.write(self._said.decode(errors="replace"))
            sys.stderr.flush()
        self._said = b""

    def _useless(self, error: Exception) -> SuccessorFailed:
        if isinstance(error, HungUp):
            self._wait(HANG_UP_S)
        code = self._process.poll()
        self.end()
        said = self._said.decode(errors="replace").strip()
        cause = str(error) if code is None else f"it ended with code {code}"
        return SuccessorFailed(f"the new process was of no use: {cause}{f': {said}' if said else ''}")
