"""What the node's handlers call: PIN requests, registrations and logins, answered by a callback on the loop.

    accounts.request_pin(user, address, done)
    accounts.register(user, pin, key, stream, address, done)
    accounts.login(user, nonce, certificate_sha256, signature, address, done)

`done(outcome)` is called once, with a value of `node.accounts.outcomes`, at once or later; whoever asked may
be gone by then. Nothing here knows connections or frames.
"""

from collections import Counter
from collections.abc import Callable, Collection
from itertools import groupby
from operator import itemgetter
from random import Random
from typing import Any, Final

import attrs
import trio

from node.accounts import pins, records
from node.accounts.courier import Courier
from node.accounts.doorkeeper import Doorkeeper
from node.accounts.gateway import Gateway
from node.accounts.keeping import Alone, Keeping
from node.accounts.outcomes import Outcome, Refused, Replaced
from node.accounts.records import Account
from node.accounts.registrar import Registrar
from node.accounts.retiring import nobodys_key, retire_in
from node.accounts.settings import AccountsSettings
from node.accounts.tables import ACCOUNT, PIN, WIPING
from node.wire.errors import REGISTRY
from replication.rounds import go_round
from store.errors import StoreError, StoreFatal
from store.group import OpenGroup
from store.reading import Item
from store.transaction import Transaction

Done = Callable[[Outcome], None]

WIPES_LISTED_MAX: Final = 1_000


class Accounts:
    """Accounts of one node.

    Args:
        group: an open group with the tables of `tables`; it is only read.
        partition_of: user → partition.
        gateway: not yet entered; `run` does that.
        secret: 32 bytes, the same after a restart and for nothing else: PINs are hashed with it.
        clock: Unix time in ms.
        random: SystemRandom() but in tests, since it makes the PINs.
        on_replaced: called on the loop once a new device is durable. End the old one's session, expire
            its waiting mail, then call `wiped`.
        keeping: who makes changes durable; the group itself if it stands alone.
    """

    def __init__(
        self,
        settings: AccountsSettings,
        group: OpenGroup,
        partition_of: Callable[[int], int],
        gateway: Gateway,
        *,
        secret: bytes,
        clock: Callable[[], int],
        random: Random,
        on_replaced: Callable[[Replaced], None],
        keeping: Keeping | None = None,
    ) -> None:
        self._settings = settings
        self._group = group
        self._keeping = keeping or Alone(group)
        self._partition_of = partition_of
        self._clock = clock
        self._tell_replaced = on_replaced
        self.courier = Courier(
            gateway,
            waiting_max=settings.deliveries_waiting_max,
            at_once_max=settings.deliveries_at_once_max,
            clock=clock,
        )
        self._doorkeeper = Doorkeeper(settings, group, partition_of, clock=clock)
        self._registrar = Registrar(
            settings,
            self._keeping,
            partition_of,
            self.courier,
            secret=secret,
            clock=clock,
            random=random,
            on_replaced=self._replaced,
        )
        self._answers: Counter[str] = Counter()
        self._swept_to: tuple[Any, ...] | None = None
        self._swept = 0
        # Wipes that were reported, for each reading of unfinished ones.
        self._listings: list[dict[int, int]] = []

    # ---- what phones ask for ------------------------------------------------------------------------

    def request_pin(self, user: int, address: str, done: Done) -> None:
        """Send a PIN to this number. → PinSent, once the PIN is durable; it is handed over in the background.

        Refused: registration_closed, bad_number, pin_limit, overloaded, shutting_down, internal.

        Args:
            address: what limits count by, as the hub's `Connection.address`.
        """
        self._registrar.request_pin(user, address, self._counted("pin", done))

    def register(self, user: int, pin: str, key: bytes, stream: bytes, address: str, done: Done) -> None:
        """Make `key` this number's device. → Registered, once that is durable and old mail is expired.

        Refused: registration_closed, bad_number, malformed (the key), pin_limit, pin_refused, blocked, stream_reused,
        superseded, overloaded, shutting_down, internal.
        """
        self._registrar.register(user, pin, key, stream, address, self._counted("register", done))

    def login(
        self, user: int, nonce: bytes, certificate_sha256: bytes, signature: bytes, address: str, done: Done
    ) -> None:
        """Check a device's signature over `login_message`. → LoggedIn.

        Refused: unauthorised, blocked, rate_limited, overloaded, shutting_down, internal.
        """
        self._doorkeeper.login(user, nonce, certificate_sha256, signature, address, done)

    def judge_device(self, user: int, stream: bytes, done: Callable[[int], None]) -> None:
        """Whether a session of the device with this stream, which has logged in somewhere, may go on: done(0), or a
        code of the wire's: superseded, blocked; overloaded, if it can't be found out now, or if mail of a former device
        is still being expired."""
        self._doorkeeper.judge_device(user, stream, done)

    def _counted(self, what: str, done: Done) -> Done:
        def count(outcome: Outcome) -> None:
            answer = REGISTRY[outcome.code].name if isinstance(outcome, Refused) else "done"
            self._answers[f"{what}_{answer}"] += 1
            done(outcome)

        return count

    @property
    def delivers(self) -> bool:
        """Whether a PIN is on its way to a phone."""
        return self.courier.delivers

    # ---- what mail asks for and reports -------------------------------------------------------------

    def may_be_registered(self, user: int) -> bool:
        """False only for numbers that surely aren't. When the accounts have outgrown memory (the store's `warm`) it is
        not looked up, since the loop would wait for the disk: then every number may be."""
        return not self._group.warm or self.account(user) is not None

    def account(self, user: int) -> Account | None:
        """Read directly: while the accounts fit in memory, and for tools."""
        value = self._group.table(ACCOUNT.name).get((self._partition_of(user), user))
        return None if value is None else records.from_value(value)

    async def unfinished_wipes(self) -> list[Replaced]:
        """Replacements of before this start, or of before this node served their partition, whose mail isn't expired
        yet, at most WIPES_LISTED_MAX: as many mean that there may be more, once these are done. Those that were
        reported and are only to be written yet, or were reported while this read, are left out: what came for the new
        device since must not be expired with them.

        Raises:
            StoreError: it can't be read, or not now.
        """
        reported = self._registrar.unwritten_wipes()
        self._listings.append(reported)
        try:
            items: list[Item] = await self._group.fetch(
                lambda reader: reader.index(ACCOUNT.name, WIPING, (), limit=WIPES_LISTED_MAX)
            )
        finally:
            self._listings = [one for one in self._listings if one is not reported]
        found = (_replacement(item) for item in items if self._keeping.serves(item[0][0]))
        return [replaced for replaced in found if reported.get(replaced.user, 0) < replaced.generation]

    def wiped(self, user: int, generation: int) -> None:
        """Nothing waits any more for the devices before this generation, durably. The new device may log in."""
        for reported in self._listings:
            reported[user] = generation
        self._registrar.wiped(user, generation)

    def ceased(self, partitions: Collection[int]) -> None:
        """This node doesn't serve these partitions any more."""
        self._registrar.forget(lambda user: self._partition_of(user) in partitions)

    def _replaced(self, replaced: Replaced) -> None:
        self._doorkeeper.replaced(replaced.user)
        self._tell_replaced(replaced)

    # ---- what the operator asks for -----------------------------------------------------------------

    @property
    def settings(self) -> AccountsSettings:
        """What holds now."""
        return self._settings

    def adjust(self, settings: AccountsSettings) -> None:
        """Let other settings hold. What was made of them at the start (gateway, PIN rules, limits in memory) stays
        as it is: only `open`, the waiting requests and the housekeeping are looked at again."""
        self._settings = settings
        self._registrar.adjust(settings)

    async def set_blocked(self, user: int, blocked: bool) -> Account | None:
        """Block a number or take that back. Ending its session is the caller's. None: not registered.

        Raises:
            StoreError: it isn't written.
        """
        key = (self._partition_of(user), user)
        value = await self._keeping.transact(key[0], _set_blocked_in, key, blocked)
        self._doorkeeper.replaced(user)
        return None if value is None else records.from_value(value)

    async def retire(self, user: int) -> Replaced | None:
        """End a number's account: nobody can log in until it is registered anew. None: it isn't registered.

        What the answer says is to be told to mail, on the hub's task, as after a registration: it ends the session and
        what waits. Should that not happen, the next start does it.

        Raises:
            WipesUnfinished
            StoreError: it isn't written.
        """
        key = (self._partition_of(user), user)
        found = await self._keeping.transact(key[0], retire_in, key, nobodys_key(), self._clock())
        if found is None:
            return None
        account = records.from_value(found[0])
        if found[1]:
            self._doorkeeper.replaced(user)
            self._registrar.superseded(user, account.generation)
        return Replaced(user, account.wiping, account.generation)

    def statistics(self) -> dict[str, Any]:
        return {
            "answers": dict(self._answers),
            "login": self._doorkeeper.statistics(),
            "registration": self._registrar.statistics(),
            "courier": attrs.asdict(self.courier.statistics()),
            "pins_swept": self._swept,
        }

    # ---- what runs in the background ----------------------------------------------------------------

    async def run(self) -> None:
        """Hand PINs over and keep house until cancelled.

        Raises:
            StoreFatal: the node must end.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.courier.run)
            nursery.start_soon(go_round, self.step, name=self.step)

    async def step(self) -> None:
        """Wait a while; then delete some PIN records that limit nothing any more, and write what wasn't written."""
        await trio.sleep(self._settings.sweep_interval_s)
        self._registrar.write_wipes()
        try:
            await self._sweep()
        except StoreFatal:
            raise
        except StoreError:
            self._answers["sweep_failed"] += 1  # busy or full: the next one finds the same records

    async def _sweep(self) -> None:
        after, limit = self._swept_to, self._settings.sweep_records
        found: list[Item] = await self._group.fetch(lambda reader: reader.prefix(PIN.name, (), after, limit))
        self._swept_to = found[-1][0] if len(found) == limit else None
        now = self._clock()
        spent = [key for key, value in found if self._keeping.serves(key[0]) and _is_spent(value, now)]
        if not self._keeping.confined:
            self._swept += await self._keeping.transact(0, _sweep_in, spent, now) if spent else 0
            return
        for partition, keys in groupby(spent, itemgetter(0)):
            self._swept += await self._keeping.transact(partition, _sweep_in, list(keys), now)


def _replacement(item: Item) -> Replaced:
    (_, user), value = item
    account = records.from_value(value)
    return Replaced(user, account.wiping, account.generation)


def _is_spent(value: Any, now: int) -> bool:
    return pins.is_spent(pins.from_value(value), now)


def _sweep_in(txn: Transaction, keys: list[tuple[Any, ...]], now: int) -> int:
    """Looked at again, since a PIN may have been asked for since."""
    spent = 0
    for key in keys:
        value = txn.get(PIN.name, key)
        if value is not None and _is_spent(value, now):
            txn.delete(PIN.name, key)
            spent += 1
    return spent


def _set_blocked_in(txn: Transaction, key: tuple[int, int], blocked: bool) -> Any:
    value = txn.get(ACCOUNT.name, key)
    if value is None:
        return None
    changed = records.from_value(value).with_block(blocked).to_value()
    txn.put(ACCOUNT.name, key, changed)
    return changed
