"""Login as a pure function: whether a signature is by the present device of an account.

An unknown number and a wrong signature get the same answer after the same work: a verification with
a key that stands in for the missing one. What else could be said of an account (that it is blocked, or
still being wiped) is said only to whoever signed rightly.

This module must never hold a nonce or know a connection.
"""

from typing import Final

from node.accounts.keys import verify
from node.accounts.outcomes import LoggedIn, Refused
from node.accounts.records import WIPE_RETRY_MS, Account
from node.wire import errors
from node.wire.login import login_message

STAND_IN_KEY: Final = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
"""A valid key to spend the same time on (RFC 8032, 7.1, test 2). What it verifies is refused all the same."""


def judge(
    account: Account | None,
    user: int,
    nonce: bytes,
    certificate_sha256: bytes,
    signature: bytes,
) -> LoggedIn | Refused:
    """account: what the store has of this number, or None. Takes 0.1 ms, nearly all of it the signature."""
    key = STAND_IN_KEY if account is None else account.key
    right = verify(key, signature, login_message(user, nonce, certificate_sha256))
    if account is None or not right:
        return Refused(errors.UNAUTHORISED, "the signature is not by the present device of this number")
    if account.blocked:
        return Refused(errors.BLOCKED, "this number is blocked")
    if account.wiping:
        text = "mail of this number's former device is still being expired"
        return Refused(errors.OVERLOADED, text, WIPE_RETRY_MS)
    return LoggedIn(user, account.stream, account.generation)
