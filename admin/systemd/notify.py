"""The protocol of sd_notify(3): datagrams of NAME=value lines to the socket that systemd names in NOTIFY_SOCKET.

Nothing is ever waited for, except by `barrier`: a node that can't tell how it is must not stand still for it. This
module must never know what is said.
"""

from __future__ import annotations

import os
import select
import socket
import time
from array import array
from collections.abc import Mapping, Sequence
from typing import Final, Self

SOCKET: Final = "NOTIFY_SOCKET"
DESCRIPTORS_MAX: Final = 253
"""In one datagram (SCM_MAX_FD of the kernel)."""


class Notifier:
    """Tells the service manager. `sent` and `lost` count datagrams; those that it has no room for are lost.

    Args:
        address: a path, or an abstract name that begins with @ (unix(7)).

    Raises:
        ValueError: it is neither.
        OSError: there is no room for a socket.
    """

    def __init__(self, address: str) -> None:
        if not address.startswith(("/", "@")) or len(address) < 2:
            raise ValueError(f"{SOCKET} is {address!r}: neither an absolute path nor an abstract name (@…)")
        self.sent = 0
        self.lost = 0
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self | None:
        """The one that an environment names; None if it names none."""
        address = environment.get(SOCKET, "")
        return cls(address) if address else None

    def tell(self, *lines: str, descriptors: Sequence[int] = ()) -> bool:
        """Whether it was taken. ``lines``: NAME=value each, without line breaks."""
        assert lines
        assert not any("\n" in line for line in lines)
        assert len(descriptors) <= DESCRIPTORS_MAX
        data = "\n".join(lines).encode()
        rights = (
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors).tobytes())] if descriptors else []
        )
        try:
            # socket.send_fds of Python 3.11 ignores the address that it is given
            self._socket.sendmsg([data], rights, 0, self._address)
        except OSError:
            self.lost += 1
            return False
        self.sent += 1
        return True

    def barrier(self, seconds_max: float) -> bool:
        """Wait until all that was told before has been dealt with (sd_notify_barrier(3)). Blocks. False: in vain."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            try:
                told = self.tell("BARRIER=1", descriptors=(writing,))
            finally:
                os.close(writing)
            if not told:
                return False
            poll = select.poll()
            poll.register(reading, 0)  # the end of a pipe without writers is always reported
            return bool(poll.poll(seconds_max * 1000))
        finally:
            os.close(reading)

    def close(self) -> None:
        self._socket.close()


def reloading() -> tuple[str, str]:
    """What begins a reload: ended by READY=1."""
    return "RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}"


def one_line(text: str) -> str:
    """As a value: STATUS=… ends with its line."""
    return " ".join(text.split())


def is_journal(descriptor: int, environment: Mapping[str, str]) -> bool:
    """Whether what is written there goes to the journal (systemd.exec(5), JOURNAL_STREAM: device and inode)."""
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))
