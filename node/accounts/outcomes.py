"""What accounts answer: plain values, handed to the caller's `done` and to `on_replaced`.

A refusal is a value, not an exception: it is an answer like the others. This module must never carry a PIN.
"""

import attrs

from node.wire.errors import REGISTRY
from node.wire.limits import RETRY_MS_MAX, TEXT_MAX


@attrs.frozen
class PinSent:
    """A PIN is on its way to this number, or would be if the number were a phone: the answer is the same.

    retry_ms: when another may be asked for. valid_ms: how long this one can be used.
    """

    user: int
    retry_ms: int
    valid_ms: int


@attrs.frozen
class Registered:
    """The device's key is durable, and what waited for an older device has been dealt with.

    replaced: whether there was an older device. old_stream: that device's stream, or None.
    """

    user: int
    generation: int
    replaced: bool
    old_stream: bytes | None


@attrs.frozen
class LoggedIn:
    """The signature is by the present device of this account.

    login: (epoch, counter) that the primary gives it where there are several nodes; of two sessions the lower one ends.
    """

    user: int
    stream: bytes
    generation: int
    login: tuple[int, int] = (0, 0)


@attrs.frozen
class Refused:
    """code: of the wire's registry. text: fits in an error frame. retry_ms: 0 where waiting doesn't help."""

    code: int
    text: str
    retry_ms: int = 0

    def __attrs_post_init__(self) -> None:
        assert self.code in REGISTRY
        assert len(self.text) <= TEXT_MAX
        assert 0 <= self.retry_ms <= RETRY_MS_MAX


@attrs.frozen
class Replaced:
    """A new device took over, and this is durable: the mail that waits for older ones must be expired now.

    old_streams: of every older device whose wipe hasn't been reported as done, oldest first. Until
    `wiped(user, generation)` is called, the new device can't log in, and the same is reported at each start.
    """

    user: int
    old_streams: tuple[bytes, ...]
    generation: int


Outcome = PinSent | Registered | LoggedIn | Refused
