"""What a backup consists of, in a file beside it: how many records, and each file's size and hash.

Records have checksums of their own, and are all read when a backup is made; the hash is for the years after: it shows
at once, without understanding a store, whether the files are still those. This module must never write anything else.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import attrs
import msgspec

from store.backup import PIECE, Report

FILE: Final = "backup.json"
FILE_BYTES_MAX: Final = 1_048_576
VERSION: Final = 1
_CHUNK_BYTES: Final = 1_048_576


class ManifestRefused(Exception):
    """The files aren't those that were written; the text says which, and what to do."""


@attrs.frozen
class Manifest:
    """pieces: group → (bytes, SHA-256 in hex) of its file."""

    records: int
    pieces: Mapping[str, tuple[int, str]]
    version: int = VERSION

    @classmethod
    def of(cls, tables: Path, records: int, report: Report) -> Self:
        """Of the files of a store that nobody writes.

        Raises:
            OSError
        """
        pieces = sorted(tables.glob(f"*/{PIECE}"))
        return cls(records, {one.parent.name: _hash(one, report) for one in pieces})

    def plain(self) -> dict[str, Any]:
        """For who asked for the backup."""
        return {
            "records": self.records,
            "bytes": sum(size for size, _ in self.pieces.values()),
            "groups": [
                {"group": name, "bytes": size, "sha256": value} for name, (size, value) in self.pieces.items()
            ],
        }

    def write(self, folder: Path) -> None:
        """Raises OSError."""
        with (folder / FILE).open("xb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(attrs.asdict(self))) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """None: the backup is of a version that wrote none.

        Raises:
            ManifestRefused, OSError
        """
        try:
            with (folder / FILE).open("rb") as file:
                content = file.read(FILE_BYTES_MAX)
        except FileNotFoundError:
            return None
        try:
            found = msgspec.json.decode(content, type=cls)
        except (msgspec.DecodeError, json.JSONDecodeError) as error:
            raise ManifestRefused(
                f"{folder / FILE}: {error}; remove it to have only the records checked"
            ) from None
        if found.version != VERSION:
            raise ManifestRefused(f"{folder / FILE} is of another version of Waystation: use that one")
        return found

    def check(self, tables: Path, report: Report) -> None:
        """That the files of a store are those of the backup.

        Raises:
            ManifestRefused, OSError
        """
        there = Manifest.of(tables, self.records, report).pieces
        for name in sorted(self.pieces.keys() | there.keys()):
            if self.pieces.get(name) != there.get(name):
                raise ManifestRefused(
                    f"{tables / name / PIECE} isn't what was written when the backup was made: take another backup; or,"
                    f" if a node has run on this one, remove {FILE} to have only the records checked"
                )


def _hash(path: Path, report: Report) -> tuple[int, str]:
    what, done, total = f"hash {path.parent.name}", 0, path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            report(what, done, max(done, total))
    return done, digest.hexdigest()
