"""Failures after which a node must not go on, whatever code is taken back.

This module must never know what code that is.
"""

import traceback

from admin.reload.policy import HALF_DONE, is_within
from store.errors import StoreFatal


def ends_node(error: BaseException) -> bool:
    """Whether it says, anywhere in it, that the store must not be written, or that a replica's step broke off."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(ends_node, error.exceptions))
    if isinstance(error, StoreFatal) or _broke_off(error):
        return True
    return error.__cause__ is not None and ends_node(error.__cause__)


def _broke_off(error: BaseException) -> bool:
    names = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(is_within(name, prefix) for name in names for prefix in HALF_DONE)
