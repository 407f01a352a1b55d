"""One user's frames, seen by an operator while they come and go; what they carry is never shown.

A session costs nothing for this while nobody looks: what it writes is seen by giving the object another class (see
`seen`), and what it reads by a look at a dictionary that is empty. A trace is bounded in rate, and what is beyond is
counted and not even decoded. This module must never show a body, a PIN, a key or a signature: of bytes it knows
the length, but for the device's stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from node.hub.bucket import Bucket
from node.seen import set_traced
from node.session import Session
from node.wire import verbs
from node.wire.codec import Decoder, decode_server
from node.wire.errors import REGISTRY, WireError
from node.wire.limits import FRAME_MAX

TRACES_MAX: Final = 16
"""Users that are looked at at one time."""
TEXT_MAX: Final = 200
"""Characters of a text of our own that are shown."""

_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {getattr(verbs, name): name.lower() for name in (
        "HELLO", "PIN", "REGISTER", "LOGIN", "SEND", "SKIP", "ACCEPTED", "GAP", "DELIVER", "ACK", "READ", "RECEIPT",
        "CONFIRM", "PING", "BUSY", "MOVED", "BYE", "ERROR",
    )}
)  # fmt: skip

_FIELDS: Final[Mapping[int, tuple[str, ...]]] = MappingProxyType(
    {
        verbs.SEND: ("recipient", "stream", "n", "base", "body"),
        verbs.SKIP: ("recipient", "stream", "n", "base"),
        verbs.ACCEPTED: ("recipient", "stream", "first", "last", "how"),
        verbs.GAP: ("recipient", "stream", "high"),
        verbs.DELIVER: ("sender", "stream", "n", "flags", "arrived", "body"),
        verbs.ACK: ("sender", "stream", "first", "last"),
        verbs.READ: ("sender", "stream", "upto"),
        verbs.RECEIPT: ("recipient", "stream", "kind", "first", "last"),
        verbs.CONFIRM: ("recipient", "stream", "kind", "first", "last"),
        verbs.PING: ("answer", "token"),
        verbs.BUSY: ("recipient", "stream", "n", "retry_ms"),
        verbs.BYE: ("code", "retry_ms"),
        verbs.ERROR: ("code", "text", "retry_ms", "about"),
    }
)
"""What is told of frames after login. Of all others, only that they were there."""

_USERS: Final = frozenset({"recipient", "sender"})


def described(frame: tuple[Any, ...]) -> dict[str, Any]:
    """What may be shown of a frame: plain data."""
    verb = frame[0]
    told: dict[str, Any] = {"verb": _NAMES.get(verb, str(verb))}
    for name, value in zip(_FIELDS.get(verb, ()), frame[1:], strict=False):
        if name == "stream":
            told[name] = value.hex()
        elif name in _USERS:
            told[name] = f"+{value}"
        elif name == "code":
            told[name] = REGISTRY[value].name if value in REGISTRY else value
        elif name == "text":
            told[name] = value[:TEXT_MAX]
        elif isinstance(value, bytes | bytearray | memoryview):
            told[f"{name}_bytes"] = len(value)
        elif isinstance(value, int):
            told[name] = value
    return told


class Trace:
    """One look at one user. `show` is called in the hub's pass, and must neither wait nor raise.

    Args:
        per_s: frames that are shown in a second, and at once.
    """

    __slots__ = ("_bucket", "_clock", "_decoder", "came", "hidden", "show", "user", "went")

    def __init__(
        self,
        user: int,
        show: Callable[[dict[str, Any]], None],
        per_s: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.user = user
        self.show = show
        self._bucket = Bucket(per_s, per_s)
        self._clock = clock
        self._decoder = Decoder(decode_server, FRAME_MAX)
        self.came = 0  # frames of the phone
        self.went = 0  # writes to it that were shown or hidden
        self.hidden = 0  # beyond the rate

    def received(self, frames: list[tuple[Any, ...]]) -> None:
        """The phone said this."""
        for frame in frames:
            self.came += 1
            if self._may_show():
                self.show({"way": "in", **described(frame)})

    def wrote(self, data: bytes) -> None:
        """The node said this: whole frames."""
        self.went += 1
        if not self._may_show():
            return
        try:
            frames = self._decoder.feed(data)
        except WireError:  # a frame that our own codec doesn't know; the phone gets it all the same
            self._decoder = Decoder(decode_server, FRAME_MAX)
            return
        for frame in frames:
            self.show({"way": "out", **described(frame)})

    def _may_show(self) -> bool:
        now = self._clock()
        if now < self._bucket.opens_at:
            self.hidden += 1
            return False
        self._bucket.spend(now)
        return True


def begin(traces: dict[int, Trace], sessions: Mapping[int, Session], trace: Trace) -> bool:
    """Look at a user, now and when he comes back; False: somebody does, or at too many others. On the hub's task, as
    `end`."""
    if trace.user in traces or len(traces) >= TRACES_MAX:
        return False
    traces[trace.user] = trace
    session = sessions.get(trace.user)
    if isinstance(session, Session):
        set_traced(session, True)
    return True


def end(traces: dict[int, Trace], sessions: Mapping[int, Session], trace: Trace) -> None:
    """Look no more."""
    if traces.get(trace.user) is trace:
        del traces[trace.user]
        session = sessions.get(trace.user)
        if isinstance(session, Session):
            set_traced(session, False)
