"""Make the shim with the C compiler that is there. It must never run anything but that compiler."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
COMPILE_SECONDS_MAX = 120


class ShimUnavailableError(Exception):
    """The shim can't be made here. Remedy: Linux with a C compiler (Debian: `apt-get install gcc libc6-dev`)."""


def compiler() -> str:
    """The path of a C compiler.

    Raises:
        ShimUnavailableError: not Linux, or no compiler.
    """
    if sys.platform != "linux":
        raise ShimUnavailableError(f"the power-loss shim needs Linux, not {sys.platform}")
    found = shutil.which(os.environ.get("CC", "gcc")) or shutil.which("cc")
    if found is None:
        raise ShimUnavailableError("no C compiler for the power-loss shim: apt-get install gcc libc6-dev")
    return found


def build_shim(folder: Path) -> Path:
    """The shim as a shared library in `folder`, made anew only if its source changed.

    Raises:
        ShimUnavailableError: no compiler, or it failed.
    """
    digest = hashlib.blake2b(SOURCE.read_bytes(), digest_size=8).hexdigest()
    library = folder / f"powerloss-{digest}.so"
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{library.name}.{os.getpid()}"
    flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Wno-nonnull-compare"]
    command = [compiler(), *flags, "-o", str(fresh), str(SOURCE), "-ldl", "-lpthread"]
    done = subprocess.run(  # noqa: S603  (the compiler, on our own file)
        command, capture_output=True, text=True, timeout=COMPILE_SECONDS_MAX, check=False
    )
    if done.returncode:
        raise ShimUnavailableError(f"{command[0]} failed on {SOURCE.name}: {done.stderr.strip()[-2000:]}")
    fresh.rename(library)
    return library
