"""A signal to the loop's thread, many times a second, upon which it is seen where it is.

A thread that asks for the interpreter's lock gets it where another gives it away, which a busy loop does at its system
calls: samples of such a thread are of those, however little time they take. A timer of the kernel's that signals
one thread (timer_create(2), SIGEV_THREAD_ID) knows nothing of that lock. Python deals with the signal between two
instructions, at the next call, return or jump backwards; calls that it interrupts go on (SA_RESTART, PEP 475).

What is called in between must not raise, take a lock, or wait: the thread may hold any lock there is.
"""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNAL: Final = signal.SIGPROF
_THREAD_ID: Final = 4
"""SIGEV_THREAD_ID of <signal.h>."""


class _SigEvent(ctypes.Structure):
    """struct sigevent, 64 bytes on Linux with 64 bits: sigevent(7)."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("thread", ctypes.c_int),
        ("rest", ctypes.c_byte * 44),
    )


class _Spec(ctypes.Structure):
    """struct itimerspec: timer_settime(2)."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("first_s", ctypes.c_long),
        ("first_ns", ctypes.c_long),
    )


class NoTimer(Exception):
    """Signals can't be had here: the loop isn't in the main thread, or the system has no such timers."""


@contextmanager
def ticking(rate: int, tick: Callable[[FrameType], object]) -> Iterator[None]:
    """Call `tick` with the frame that the main thread is in, so often a second, while this lasts. In that thread.

    The signal is ignored afterwards, since one may still be on its way.

    Raises:
        NoTimer
    """
    if threading.current_thread() is not threading.main_thread():
        raise NoTimer
    libc = _libc()
    event = _SigEvent(signo=SIGNAL, notify=_THREAD_ID, thread=threading.get_native_id())
    timer = ctypes.c_void_p()
    inside = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal inside
        if frame is None or inside:
            return
        inside = True
        try:
            tick(frame)
        except Exception:  # noqa: BLE001, S110 - it would come up in the middle of whatever runs
            pass
        finally:
            inside = False

    signal.signal(SIGNAL, handle)
    try:
        signal.siginterrupt(SIGNAL, False)
        if libc.timer_create(time.CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)):
            raise NoTimer
        try:
            seconds, nanoseconds = divmod(1_000_000_000 // rate, 1_000_000_000)
            spec = _Spec(seconds, nanoseconds, seconds, nanoseconds)
            if libc.timer_settime(timer, 0, ctypes.byref(spec), None):
                raise NoTimer
            yield
        finally:
            libc.timer_delete(timer)
    finally:
        signal.signal(SIGNAL, signal.SIG_IGN)


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    try:
        for name in ("timer_create", "timer_settime", "timer_delete"):
            getattr(libc, name).restype = ctypes.c_int
    except AttributeError:
        raise NoTimer from None
    libc.timer_settime.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    libc.timer_delete.argtypes = (ctypes.c_void_p,)
    return libc
