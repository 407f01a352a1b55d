"""What sessions ask of accounts, whoever answers: this node's own, or those of whichever node knows the number."""

from collections.abc import Callable
from typing import Protocol

from node.accounts.outcomes import Outcome

Done = Callable[[Outcome], None]


class Gate(Protocol):
    """`done` is called once, at once or later; see `service.Accounts` for what may be refused."""

    def request_pin(self, user: int, address: str, done: Done) -> None:
        """→ PinSent"""

    def register(self, user: int, pin: str, key: bytes, stream: bytes, address: str, done: Done) -> None:
        """→ Registered"""

    def login(
        self, user: int, nonce: bytes, certificate_sha256: bytes, signature: bytes, address: str, done: Done
    ) -> None:
        """→ LoggedIn"""
