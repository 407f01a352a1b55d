"""Frames without the bodies that they came with: each body becomes as many bytes made of a block of chance, chosen by
who it is for and its number, never by what it said. A message that is sent twice gets the same bytes twice, as it must.

What could hold a PIN, a key or a signature is left out. A sender's first message for a recipient is said to have
nothing before it (base = n): the test node comes in the middle, and would wait for what it never gets.
"""

from __future__ import annotations

import secrets
from collections import Counter
from typing import Any, Final

from admin.tee.settings import JOINED_MAX
from admin.tee.tap import Counts
from node.wire import verbs
from node.wire.codec import decode_client, encode
from node.wire.limits import FRAME_MAX, HEADER_SIZE

BLOCK: Final = 65_536
BODY_MAX: Final = 61_440
_OFTEN: Final = 40_503

CARRIED: Final = frozenset({verbs.ACK, verbs.READ, verbs.SKIP, verbs.CONFIRM, verbs.PING, verbs.BYE})
"""Verbs that go as they are. They hold numbers, users and streams, no bytes of a phone's choosing."""


class Stripper:
    """Of one tee. `said`: frames that were let through, by verb."""

    __slots__ = ("_block", "_counts", "said")

    def __init__(self, counts: Counts) -> None:
        block = secrets.token_bytes(BLOCK)
        self._block = block + block[:BODY_MAX]
        self._counts = counts
        self.said: Counter[int] = Counter()

    def strip(self, data: bytes, joined: set[int]) -> bytes:
        """Whole frames, some of them left out.

        Args:
            joined: recipients of this session that something was said to before; changed.

        Raises:
            WireError: they aren't frames; nothing of them may be sent.
        """
        frames: list[tuple[Any, ...]] = []
        decode_client(data, FRAME_MAX, frames)
        kept = []
        place = 0
        for frame in frames:
            end = place + HEADER_SIZE + int.from_bytes(data[place : place + HEADER_SIZE], "big")
            verb = frame[0]
            if verb == verbs.SEND:
                kept.append(self._send(frame, data, place, end, joined))
            elif verb in CARRIED:
                kept.append(data[place:end])
            else:
                self._counts.left_out += 1
                place = end
                continue
            self.said[verb] += 1
            self._counts.frames += 1
            place = end
        return b"".join(kept)

    def _send(self, frame: tuple[Any, ...], data: bytes, place: int, end: int, joined: set[int]) -> bytes:
        """[10, recipient, stream, n, base, body]: the body is the frame's end."""
        verb, recipient, stream, n, _, body = frame
        size = len(body)
        begins = (n * _OFTEN + recipient) % BLOCK
        filler = self._block[begins : begins + size]
        if recipient in joined:
            return data[place : end - size] + filler
        if len(joined) >= JOINED_MAX:
            joined.clear()
        joined.add(recipient)
        return encode((verb, recipient, stream, n, n, filler))
