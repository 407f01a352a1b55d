"""A number that nobody has at first, and its two devices, which both want it, with the PINs that are sent to it.

Each asks whichever node it likes; what isn't answered it asks again, elsewhere. A device that was told that it has the
number logs in now and then. In some worlds the answer comes too late for some: they ask for it once more.
"""

from __future__ import annotations

import random
from hashlib import blake2b
from typing import Any, Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.accounts.outcomes import LoggedIn, Outcome, Registered
from node.wire.limits import NONCE_SIZE, STREAM_SIZE
from node.wire.login import login_message
from ops.simulation.cluster.events import Granted
from ops.simulation.trace import Trace

DEVICES: Final = 2
ASK_MS: Final = 150
"""Between two requests of a device."""
PIN_MS: Final = 1_100
"""Between two PINs that are asked for."""
WANTS_MAX: Final = 8
"""Times that a device asks for the number before it leaves it to the other one."""


AGAIN_MS: Final = (20, 200, 800)
"""After how long a device asks once more that didn't hear the answer."""


class Offices(Protocol):
    """How a phone reaches nodes before it is anybody's."""

    trace: Trace

    def request(self, node: int, what: str, *arguments: Any) -> None:
        """Ask a node's router: `what(*arguments)`."""
        ...


class Device:
    """One of them."""

    def __init__(self, user: int, seed: int, number: int) -> None:
        secret = blake2b(f"{seed} {user} {number}".encode(), digest_size=32).digest()
        self.private = Ed25519PrivateKey.from_private_bytes(secret)
        self.key = self.private.public_key().public_bytes_raw()
        self.stream = blake2b(self.key, digest_size=STREAM_SIZE).digest()
        self.wants = WANTS_MAX
        self.generation = 0  # with which it was told that it has the number
        self.asked_at = -ASK_MS
        self.logged_in = False


class Newcomer:
    """One number."""

    def __init__(self, user: int, seed: int, nodes: int, offices: Offices, *, again: bool = False) -> None:
        self.user = user
        self._again = random.Random(f"newcomer again {seed} {user}") if again else None
        self._due: list[tuple[int, Device]] = []  # who asks once more, and when
        self._nodes = nodes
        self._offices = offices
        self._hand = random.Random(f"newcomer {seed} {user}")
        self.devices = [Device(user, seed, number) for number in range(DEVICES)]
        self._pin = ""
        self._pin_at = -PIN_MS
        self.began = False

    def sent(self, pin: str) -> None:
        """A PIN has come."""
        self._pin = pin

    def tick(self, now: int) -> None:
        """Time has passed."""
        if not self.began:
            return
        wanted = any(device.wants and not device.generation for device in self.devices)
        if wanted and now - self._pin_at >= PIN_MS:
            self._pin_at = now
            self._ask("request_pin", self.user, "", _nobody)
        for due in [one for one in self._due if one[0] <= now]:
            self._due.remove(due)
            self._register(due[1])
        for device in self.devices:
            if now - device.asked_at >= ASK_MS and self._hand.random() < 0.5:
                device.asked_at = now
                self._try(device, now)

    def _try(self, device: Device, now: int) -> None:
        if device.generation:
            if not device.logged_in:
                self._log_in(device)
        elif device.wants and self._pin:
            device.wants -= 1
            self._register(device)
            if self._again is not None and self._again.random() < 0.5:
                self._due.append((now + self._again.choice(AGAIN_MS), device))

    def _register(self, device: Device) -> None:
        node = self._hand.randrange(self._nodes)
        arguments = (self.user, self._pin, device.key, device.stream, "")

        def done(outcome: Outcome) -> None:
            self._answered(device, node, outcome)

        self._offices.request(node, "register", *arguments, done)

    def _answered(self, device: Device, node: int, outcome: Outcome) -> None:
        if isinstance(outcome, Registered):
            device.generation = max(device.generation, outcome.generation)
            device.logged_in = False
            self._offices.trace.observe(Granted(node, self.user, outcome.generation, device.key))

    def _log_in(self, device: Device) -> None:
        nonce = self._hand.randbytes(NONCE_SIZE)
        signature = device.private.sign(login_message(self.user, nonce, b""))

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, LoggedIn) and outcome.generation >= device.generation:
                device.logged_in = True

        self._ask("login", self.user, nonce, b"", signature, "", done)

    def _ask(self, what: str, *arguments: Any) -> None:
        self._offices.request(self._hand.randrange(self._nodes), what, *arguments)

    def rests(self) -> bool:
        """Whether nothing is asked for, and the device that has the number has logged in. Who waits for a PIN asks,
        too: a world that rested meanwhile would be judged while one is being written."""
        wanting = any(device.wants and not device.generation for device in self.devices)
        latest = max(self.devices, key=lambda device: device.generation)
        return not self.began or (not wanting and (not latest.generation or latest.logged_in))


def _nobody(outcome: Outcome) -> None:
    """The PIN comes otherwise."""
