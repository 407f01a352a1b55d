"""The key pair of a node: what its peers know it by. Made once, kept in the data directory, readable by its owner only.

Keys are written as ZeroMQ's tools do, in Z85 (ZeroMQ RFC 32): 40 characters for 32 bytes of Curve25519. The public
key is told to the peers by whoever configures them; the secret never leaves the file, nor gets into a repr.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import zmq
from zmq.utils import z85

from replication.zeromq.errors import KeyFileDamaged, KeyFileExposed
from store.disk import sync_directory

KEY_FILE: Final = "links.key"
KEY_CHARACTERS: Final = 40
_FILE_BYTES_MAX: Final = 4_096


@attrs.frozen
class Keys:
    """public: 40 characters of Z85, for peers. secret: the same, for nobody."""

    public: str
    secret: str = attrs.field(repr=False)


def is_public_key(text: str) -> bool:
    """Whether it has the form of one."""
    if len(text) != KEY_CHARACTERS or not text.isascii():
        return False
    try:
        return len(z85.decode(text.encode("ascii"))) == 32
    except (KeyError, ValueError):
        return False


def make_keys() -> Keys:
    """A new pair, in memory only."""
    public, secret = zmq.curve_keypair()
    return Keys(public.decode("ascii"), secret.decode("ascii"))


def ensure_keys(directory: Path) -> Keys:
    """The pair in `directory`, made and on disk if there was none.

    Raises:
        KeyFileExposed, KeyFileDamaged
        OSError: the file can't be read or written.
    """
    return ensure_key_file(directory / KEY_FILE, "of this node, for its links to other nodes")


def read_keys(directory: Path) -> Keys:
    """The pair in `directory`.

    Raises:
        FileNotFoundError: there is none.
        KeyFileExposed, KeyFileDamaged
    """
    return read_key_file(directory / KEY_FILE)


def ensure_key_file(path: Path, whose: str) -> Keys:
    """The pair in this file, made and on disk if there was none. `whose` is said in the file.

    Raises:
        KeyFileExposed, KeyFileDamaged
        OSError: the file can't be read or written.
    """
    if not path.exists():
        _write(path, make_keys(), whose)
    return read_key_file(path)


def read_key_file(path: Path) -> Keys:
    """The pair in this file.

    Raises:
        FileNotFoundError: there is none.
        KeyFileExposed, KeyFileDamaged
    """
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise KeyFileExposed(f"{path} has mode {mode:03o}: others than its owner may read or write it")
        content = file.read(_FILE_BYTES_MAX)
    lines = [line for line in content.splitlines() if line and not line.startswith(b"#")]
    try:
        secret = lines[0].decode("ascii")
        if len(lines) != 1 or not is_public_key(secret):
            raise ValueError
    except (IndexError, ValueError):
        raise KeyFileDamaged(f"{path} doesn't hold one key of {KEY_CHARACTERS} characters") from None
    return Keys(zmq.curve_public(secret.encode("ascii")).decode("ascii"), secret)


def _write(path: Path, keys: Keys, whose: str) -> None:
    """Durable, and never there in part. If another process was quicker, its pair stays."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    text = (
        f"# The secret key {whose}. Show it to nobody.\n"
        f"# The public key that belongs to it: {keys.public}\n"
        f"{keys.secret}\n"
    )
    with _alone_in(path.parent):
        if path.exists():
            return
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o600)
                file.write(text.encode("ascii"))
                file.flush()
                os.fsync(descriptor)
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
        sync_directory(path.parent)


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """While another process makes a key there, wait: a rename would put one pair in the place of another."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
