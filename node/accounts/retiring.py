"""The end of a number's account at the operator's word: its device is replaced by nobody.

The record stays, with a key whose private half was thrown away and a stream that no device has: without it, a later
registration would begin at the first generation again and lose, in a merge, against what a copy still holds. What
waited for the device is expired as after any replacement, and its senders are told.

This module must never know how mail is wiped.
"""

from typing import Any, Final

import attrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.accounts import records
from node.accounts.records import WIPES_MAX, Account
from node.accounts.tables import ACCOUNT
from node.wire.limits import STREAM_SIZE
from store.transaction import Transaction

NO_STREAM: Final = bytes(STREAM_SIZE)
"""A device's stream is random; whoever chose this one could never register after an end like this."""


class WipesUnfinished(Exception):
    """So many former devices' mail is still being expired that no other can be replaced now. Try again later."""


def nobodys_key() -> bytes:
    """A key with which nobody can log in."""
    return Ed25519PrivateKey.generate().public_key().public_bytes_raw()


def is_retired(account: Account) -> bool:
    """Whether the number has no device."""
    return account.stream == NO_STREAM


def retire(account: Account, key: bytes, now: int) -> Account:
    """The account without its device; itself if it has none.

    Raises:
        WipesUnfinished
    """
    if is_retired(account):
        return account
    if len(account.wiping) >= WIPES_MAX:
        raise WipesUnfinished
    return attrs.evolve(
        account,
        key=key,
        stream=NO_STREAM,
        generation=account.generation + 1,
        since=now,
        wiping=(*account.wiping, account.stream),
    )


def retire_in(txn: Transaction, key: tuple[int, int], public: bytes, now: int) -> tuple[Any, bool] | None:
    """What the store keeps then, and whether that was changed; None: the number is not registered."""
    value = txn.get(ACCOUNT.name, key)
    if value is None:
        return None
    before = records.from_value(value)
    after = retire(before, public, now)
    if after is not before:
        txn.put(ACCOUNT.name, key, after.to_value())
    return after.to_value(), after is not before
