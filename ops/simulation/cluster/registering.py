"""Accounts of a node of the world of a cluster: the real ones, for numbers that nobody has at first.

PINs are sent at once; what a new device takes over is wiped by the mail core, as on a node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from node.accounts.gateway import Gateway
from node.accounts.keeping import Replicated
from node.accounts.outcomes import Replaced
from node.accounts.records import from_value
from node.accounts.service import WIPES_LISTED_MAX, Accounts
from node.accounts.settings import AccountsSettings
from node.accounts.silent import SilentGateway
from node.accounts.tables import ACCOUNT, WIPING
from node.mail import expiry
from node.routing.surroundings import Done
from node.wire import errors
from ops.simulation.cluster.accounts import Everybody
from replication.carrier import Carrier
from store.results import Result

if TYPE_CHECKING:
    from ops.simulation.cluster.node import ClusterNode

SETTINGS: Final = AccountsSettings(
    open=True,
    pin_digits=8,
    pin_attempts_max=5,
    pin_requests_per_day=1_000,
    pin_wait_s=1,
    pin_wait_factor=1,
    pin_wait_s_max=1,
    address_pins_burst=100_000,
    address_guesses_burst=100_000,
    address_logins_burst=100_000,
    number_logins_burst=100_000,
    overloaded_retry_ms=50,
)
SECRET: Final = bytes(32)


class NodeAccounts:
    """Of one life of a node. Of users up to `known` everybody knows that they have one (`accounts.Everybody`)."""

    def __init__(
        self,
        node: ClusterNode,
        carrier: Carrier,
        known: int,
        is_enough: Callable[[int], bool],
        sent: Callable[[int, str], None],
    ) -> None:
        self._node = node
        self._group = carrier.group
        self._known = known
        self._sent = sent
        self._everybody = Everybody(node.machine.hand)
        self._wipes_due = False
        self._accounts = Accounts(
            SETTINGS,
            carrier.group,
            node.around.partition_of,
            cast(Gateway, SilentGateway()),
            secret=SECRET,
            clock=node.steady_now,
            random=node.machine.hand,
            on_replaced=self._replaced,
            keeping=Replicated(carrier, self._is_enough(is_enough)),
        )

    def _is_enough(self, judge: Callable[[int], bool]) -> Callable[[int], bool]:
        def is_enough(copies: int) -> bool:
            enough = judge(copies)
            self._wipes_due |= not enough
            return enough

        return is_enough

    def _of(self, user: int) -> Any:
        return self._everybody if user <= self._known else self._accounts

    # ---- what the router asks (`surroundings.Accounts`) -----------------------------------------------

    def request_pin(self, user: int, address: str, done: Done) -> None:
        """As `Accounts.request_pin`."""
        self._of(user).request_pin(user, address, done)

    def register(self, user: int, pin: str, key: bytes, stream: bytes, address: str, done: Done) -> None:
        """As `Accounts.register`."""
        self._of(user).register(user, pin, key, stream, address, done)

    def login(
        self, user: int, nonce: bytes, certificate_sha256: bytes, signature: bytes, address: str, done: Done
    ) -> None:
        """As `Accounts.login`."""
        self._of(user).login(user, nonce, certificate_sha256, signature, address, done)

    def judge_device(self, user: int, stream: bytes, done: Callable[[int], None]) -> None:
        """As `Accounts.judge_device`."""
        self._of(user).judge_device(user, stream, done)

    # ---- what the node says and asks ------------------------------------------------------------------

    def is_known(self, user: int) -> bool:
        """Whether mail may be kept for a number."""
        return user <= self._known or self._accounts.may_be_registered(user)

    def wiped(self, user: int, generation: int) -> None:
        """Nothing waits any more for former devices."""
        if user > self._known:
            self._accounts.wiped(user, generation)

    def ceased(self, p: int) -> None:
        """Another node serves it."""
        self._accounts.ceased((p,))

    def served(self) -> None:
        """A partition has come, perhaps with wipes that its former primary didn't finish."""
        self._wipes_due = True

    def tick(self) -> None:
        """Say what is late, send PINs, and go on with wipes."""
        self._everybody.tick()
        while (delivery := self._accounts.courier.take_nowait()) is not None:
            self._sent(delivery.user, delivery.pin)
        if self._wipes_due:
            self._wipes_due = False
            self._group.read(
                lambda reader: reader.index(ACCOUNT.name, WIPING, (), limit=WIPES_LISTED_MAX), self._finish
            )

    def _finish(self, result: Result) -> None:
        if result.error is not None:
            self._wipes_due = True
            return
        mail = self._node.mail
        for (p, user), value in result.value:
            if p in self._node.served and user not in mail.wipes:
                expiry.wipe(mail, user, from_value(value).generation)

    def _replaced(self, replaced: Replaced) -> None:
        self._node.router.end_user(replaced.user, errors.SUPERSEDED)
        expiry.wipe(self._node.mail, replaced.user, replaced.generation)
