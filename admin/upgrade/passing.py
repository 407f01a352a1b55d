"""Messages and descriptors between a node and its successor, over one Unix stream socket. Blocking, each wait bounded.

A message is a byte that says which, four bytes of length, and so many bytes. Descriptors go in batches, each
acknowledged before the next: the kernel lets only so many be under way (unix(7), ETOOMANYREFS). This module must never
know what is passed.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from collections.abc import Sequence
from typing import Final

from admin.upgrade.errors import ChannelLost, HungUp

CHECKED: Final = b"C"
"""From the successor: imported, configuration read. Payload: what it can take over."""
CARGO: Final = b"S"
"""To it: what is handed over; the descriptors follow."""
TAKEN: Final = b"T"
"""From it: all is in its hands, and it waits for GO."""
GO: Final = b"G"
"""To it: serve. From here on there is one node, and it is the successor."""
FAILED: Final = b"F"
"""From it: why it ends."""

BATCH: Final = 200
"""Descriptors in one message; the kernel allows 253."""
MESSAGE_BYTES_MAX: Final = 1 << 30
_HEAD: Final = struct.Struct("!cI")
_MARK: Final = b"D"


class Channel:
    """One end.

    Raises (all methods):
        ChannelLost
    """

    def __init__(self, end: socket.socket, seconds_max: float) -> None:
        self._socket = end
        end.settimeout(seconds_max)

    def fileno(self) -> int:
        return self._socket.fileno()

    def patience(self, seconds_max: float) -> None:
        """Wait so long from now on."""
        self._socket.settimeout(seconds_max)

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        if len(payload) > MESSAGE_BYTES_MAX:
            raise ChannelLost(f"{len(payload)} bytes are more than may be handed over ({MESSAGE_BYTES_MAX})")
        try:
            self._socket.sendall(_HEAD.pack(kind, len(payload)) + payload)
        except ConnectionError:
            raise HungUp from None
        except OSError as error:
            raise ChannelLost(f"the other process can't be told anything: {error}") from None

    def receive(self, *kinds: bytes) -> tuple[bytes, bytes]:
        """The next message: which, and what it carries. It must be one of `kinds`."""
        kind, size = _HEAD.unpack(self._read(_HEAD.size))
        if kind not in kinds or size > MESSAGE_BYTES_MAX:
            raise ChannelLost(f"the other process said {kind!r} of {size} bytes, where that makes no sense")
        return kind, self._read(size)

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            try:
                got = self._socket.recv(min(count - len(data), 1 << 20))
            except ConnectionError:
                raise HungUp from None
            except TimeoutError:
                raise ChannelLost("the other process said nothing in time") from None
            except OSError as error:
                raise ChannelLost(f"the other process can't be heard: {error}") from None
            if not got:
                raise HungUp
            data += got
        return bytes(data)

    def send_descriptors(self, descriptors: Sequence[int]) -> None:
        """The other end must call `receive_descriptors` with their number."""
        for start in range(0, len(descriptors), BATCH):
            some = array.array("i", descriptors[start : start + BATCH])
            try:
                self._socket.sendmsg([_MARK], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, some.tobytes())])
            except ConnectionError:
                raise HungUp from None
            except OSError as error:
                raise ChannelLost(f"connections can't be passed: {error}") from None
            if self._read(1) != _MARK:
                raise ChannelLost("the other process has not taken the connections")

    def receive_descriptors(self, count: int) -> list[int]:
        """They belong to the caller; if this fails, none does."""
        found: list[int] = []
        room = socket.CMSG_SPACE(BATCH * array.array("i").itemsize)
        try:
            while len(found) < count:
                data, control, flags, _ = self._socket.recvmsg(1, room, socket.MSG_CMSG_CLOEXEC)
                for level, kind, packed in control:
                    if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                        some = array.array("i")
                        some.frombytes(packed[: len(packed) - len(packed) % some.itemsize])
                        found += some
                if data != _MARK or flags & socket.MSG_CTRUNC or len(found) > count:
                    raise ChannelLost(
                        "not all connections came: the limit on open files (LimitNOFILE=) may be lower here"
                    )
                self._socket.sendall(_MARK)
        except (OSError, ChannelLost) as error:
            for one in found:
                os.close(one)
            raise ChannelLost(str(error)) from None
        return found

    def wait_end(self) -> bool:
        """Until the other end is closed. False: it isn't, in the time there is, or it said something instead."""
        try:
            return not self._socket.recv(1)
        except TimeoutError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        self._socket.close()
