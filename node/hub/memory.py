"""What the operating system allows and takes back."""

from __future__ import annotations

import contextlib
import ctypes
import resource


def descriptors_max() -> int:
    """How many descriptors this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 30 if soft == resource.RLIM_INFINITY else soft


def raise_descriptors_max() -> None:
    """Let this process open as many as its hard limit allows; the soft one is 1,024 on most systems for the sake of
    select(2), which can't count further and which nothing here uses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(
            OSError, ValueError
        ):  # then it stays as it is: the hub asks how many there are
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def give_back_memory() -> bool:
    """After a mass disconnect glibc keeps what OpenSSL has freed: give it back. False where libc can't."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # musl has none, and doesn't need it
        return False
    trim.argtypes = (ctypes.c_size_t,)
    return bool(trim(0))
