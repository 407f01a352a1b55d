"""What the operating system allows and takes back."""

from __future__ import annotations

import ctypes
import resource


def descriptors_max() -> int:
    """How many descriptors this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 30 if soft == resource.RLIM_INFINITY else soft


def give_back_memory() -> bool:
    """After a mass disconnect glibc keeps what OpenSSL has freed: give it back. False where libc can't."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # musl has none, and doesn't need it
        return False
    trim.argtypes = (ctypes.c_size_t,)
    return bool(trim(0))
