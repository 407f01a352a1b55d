"""Accounts of a world in which everybody is registered and every signature is right. Some answers come a tick later."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from node.accounts.outcomes import LoggedIn, Refused
from node.routing.surroundings import Done
from node.wire.errors import OVERLOADED
from node.wire.limits import SIGNATURE_SIZE, STREAM_SIZE


def signature_of(stream: bytes) -> bytes:
    """What the device with this stream signs a nonce with."""
    return stream * (SIGNATURE_SIZE // len(stream))


class Everybody:
    """Of one life of a node."""

    def __init__(self, hand: random.Random) -> None:
        self._hand = hand
        self._late: list[tuple[Callable[..., None], Any]] = []

    def tick(self) -> None:
        """Say what is late."""
        late, self._late = self._late, []
        for done, answer in late:
            done(answer)

    def _answer(self, done: Callable[..., None], answer: Any) -> None:
        if self._hand.random() < 0.3:
            self._late.append((done, answer))
        else:
            done(answer)

    def request_pin(self, user: int, address: str, done: Done) -> None:
        """Nobody needs one."""
        self._answer(done, Refused(OVERLOADED, "everybody has an account", 1_000))

    def register(self, user: int, pin: str, key: bytes, stream: bytes, address: str, done: Done) -> None:
        """Nobody needs to."""
        self._answer(done, Refused(OVERLOADED, "everybody has an account", 1_000))

    def login(
        self,
        user: int,
        nonce: bytes,
        certificate_sha256: bytes,
        signature: bytes,
        address: str,
        done: Done,
    ) -> None:
        """It is right."""
        self._answer(done, LoggedIn(user, signature[:STREAM_SIZE], 1))

    def judge_device(self, user: int, stream: bytes, done: Callable[[int], None]) -> None:
        """It is the present one."""
        self._answer(done, 0)
