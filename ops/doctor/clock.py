"""The clock: is it kept right, does it agree with what is on the disk, and with other nodes.

Ages of messages, PINs and certificates go by it; order doesn't.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from ops.doctor.finding import Finding, bad, good, skipped, warning
from ops.doctor.patient import UNREACHED, Patient, ask

ABOUT: Final = "clock"
TIME_ERROR: Final = 5
"""adjtimex(2): the clock isn't synchronised."""
ERROR_S_MAX: Final = 1.0
SKEW_S_WARNING: Final = 0.5
SKEW_S_BAD: Final = 30.0
AHEAD_S_MAX: Final = 60.0
KEEPER: Final = "run a keeper of time: systemd-timesyncd or chrony (`timedatectl`)"


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2), on Linux with 64 bits."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 192),
    )


@attrs.frozen
class Kept:
    """What the kernel says of its clock. error_s: how far off it may be at most, as it believes."""

    synchronised: bool
    error_s: float


def kernel_clock() -> Kept | None:
    """None where the kernel can't be asked. Nothing is adjusted (modes 0)."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        timex = _Timex()
        state = libc.adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    return Kept(state != TIME_ERROR, timex.maxerror / 1e6)


def check(patient: Patient, kernel: Callable[[], Kept | None] = kernel_clock) -> Iterator[Finding]:
    kept = kernel()
    if kept is None:
        yield skipped(ABOUT, "the kernel doesn't say whether it is synchronised")
    elif not kept.synchronised:
        yield warning(ABOUT, "the kernel says that nobody keeps this machine's clock right", KEEPER)
    elif kept.error_s > ERROR_S_MAX:
        yield warning(ABOUT, f"it may be {kept.error_s:.1f} s off, as the kernel believes", KEEPER)
    else:
        yield good(ABOUT, f"synchronised, at most {kept.error_s * 1000:.0f} ms off")
    yield from _against_disk(patient)
    yield from _against_others(patient)


def _against_disk(patient: Patient) -> Iterator[Finding]:
    """What was written can't be of tomorrow."""
    names = ("store/users/data.mdb", "statistics.history", "admin/looks.log", "admin/audit.log")
    there = [path for name in names if (path := patient.data / name).exists()]
    newest = max((path.stat().st_mtime for path in there), default=0.0)
    if newest > patient.now + AHEAD_S_MAX:
        yield bad(
            ABOUT,
            f"files of the node were written {newest - patient.now:,.0f} s after what this clock says is now",
            f"set the clock right before the node is started: with it back, nothing expires. {KEEPER}",
        )


def _against_others(patient: Patient) -> Iterator[Finding]:
    for entry in patient.others:
        try:
            began = time.time()
            there = float(ask(entry, "ping")["time"])
            skew = there - (began + time.time()) / 2
        except UNREACHED as error:
            yield skipped(ABOUT, f"{entry.name} couldn't be asked: {error}")
            continue
        text = f"{entry.name} is {abs(skew):.3f} s {'ahead' if skew > 0 else 'behind'}"
        if abs(skew) > SKEW_S_BAD:
            yield bad(ABOUT, text, f"set the wrong one right; on both, {KEEPER}")
        elif abs(skew) > SKEW_S_WARNING:
            yield warning(ABOUT, text, KEEPER)
        else:
            yield good(ABOUT, text)
