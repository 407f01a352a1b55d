"""What a phone is told when the store can't do something. The operator is told more, in the log.

This module must never show a stored value; the errors of the store don't.
"""

import structlog

from node.accounts.outcomes import Refused
from node.wire import errors
from store.errors import DiskFull, MapFull, StoreBusy, StoreClosed, StoreError

_log = structlog.get_logger(__name__)


def refusal_for(error: BaseException, retry_ms: int) -> Refused:
    """The answer to whoever waited for this."""
    if isinstance(error, StoreBusy):
        return Refused(errors.OVERLOADED, "the store is behind with its work", retry_ms)
    if isinstance(error, StoreClosed):
        return Refused(errors.SHUTTING_DOWN, "the server is stopping", retry_ms)
    _log.error("account_store_failed", cause=cause_of(error))
    if isinstance(error, DiskFull | MapFull):
        return Refused(errors.OVERLOADED, "the store has no room", retry_ms)
    return Refused(errors.INTERNAL, "the server failed at this")


def cause_of(error: BaseException) -> str:
    """For the log. A defect's own text may hold anything, so only its kind is told."""
    return str(error) if isinstance(error, StoreError) else type(error).__name__
