"""The node that is to be succeeded, as the new process sees it: found by a variable in the environment.

Until the configuration is checked, standard error is a pipe to it, so that it can say why this process was of no use.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from typing import Final

import attrs
import msgspec

from admin.upgrade import passing
from admin.upgrade.errors import ChannelLost
from admin.upgrade.passing import Channel
from node.handing import state
from node.handing.state import FORMATS_READ, Handed

VARIABLE: Final = "WAYSTATION_UPGRADE"
"""Descriptors: the channel's, and the real standard error's."""
STANDARD_ERROR: Final = 2
CARGO_S_MAX: Final = 120.0
"""TLS clients have time to leave before anything comes."""
GO_S_MAX: Final = 30.0


@attrs.frozen
class Greeting:
    """What a successor says of itself. formats: of `Handed`, that it reads. member: of a cluster, by its
    configuration."""

    pid: int
    version: str
    formats: tuple[int, ...] = FORMATS_READ
    member: bool = False


class Predecessor:
    """`handed` and `descriptors` are there after `wait`."""

    def __init__(self, channel: Channel, error: int) -> None:
        self.handed: Handed | None = None
        self.descriptors: list[int] = []
        self._channel = channel
        self._error = error
        self._over = False

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Predecessor | None:
        """None if this process wasn't started by an upgrade. Children don't hear of it."""
        text = environment.pop(VARIABLE, "")
        if not text:
            return None
        channel, error = map(int, text.split(":"))
        for one in (channel, error):
            os.set_inheritable(one, False)
        return cls(Channel(socket.socket(fileno=channel), CARGO_S_MAX), error)

    @property
    def standard_error(self) -> int:
        """Where this process's log will go."""
        return STANDARD_ERROR if self._error < 0 else self._error

    def wait(self, version: str, *, member: bool = False) -> Handed:
        """Say that all is well so far, and wait for what is handed over.

        Args:
            version, member: see `Greeting`.

        Raises:
            ChannelLost: it was called off; the other node serves on, and this process has nothing to do.
        """
        self._channel.send(
            passing.CHECKED, msgspec.msgpack.encode(Greeting(os.getpid(), version, member=member))
        )
        os.dup2(self._error, STANDARD_ERROR, inheritable=True)
        os.close(self._error)
        self._error = -1
        _, payload = self._channel.receive(passing.CARGO)
        try:
            self.handed = state.decode(payload)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise ChannelLost(f"what was handed over can't be read: {error}") from None
        self.descriptors = self._channel.receive_descriptors(
            len(self.handed.listeners) + len(self.handed.sessions)
        )
        return self.handed

    def taken(self) -> None:
        """All is in our hands: wait until we may serve. If the other process dies now, there is nobody else.

        Raises:
            ChannelLost: it serves on.
        """
        self._channel.patience(GO_S_MAX)
        self._channel.send(passing.TAKEN)
        try:
            self._channel.receive(passing.GO)
        except ChannelLost:
            if not self._channel.wait_end():
                raise
        self._over = True

    def failed(self, cause: str) -> None:
        """Say why this process ends, unless it serves."""
        if not self._over:
            try:
                self._channel.send(passing.FAILED, cause.encode()[:4_000])
            except ChannelLost:
                self._over = True

    def gone(self) -> bool:
        """Wait until the other process has ended, so that what it listened on besides is free. Blocks."""
        self._channel.patience(GO_S_MAX)
        return self._channel.wait_end()

    def close(self) -> None:
        self._channel.close()
