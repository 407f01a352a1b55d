"""Which versions of what nodes say a release understands, as two nodes tell each other when they greet. Values only.

Releases next to one another have a version in common: each understands its own, and the one before. Two that have none
in common don't listen to each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Self

import attrs

from replication.zeromq.words import Malformed

UNSAID: Final = (1, 2)
"""Of releases that tell nothing of it when they greet."""
RELEASE_CHARACTERS_MAX: Final = 64


@attrs.frozen
class Versions:
    """speaks: the lowest and the highest version. release: what it is called; "" if it doesn't say."""

    speaks: tuple[int, int] = UNSAID
    release: str = ""

    def meets(self, speaks: tuple[int, int]) -> bool:
        """Whether there is a version that both understand."""
        return self.speaks[0] <= speaks[1] and speaks[0] <= self.speaks[1]

    def words(self) -> tuple[int, int, str]:
        """The form in which they are told."""
        return (*self.speaks, self.release)

    @classmethod
    def of_words(cls, words: Sequence[Any]) -> Self:
        """What was told; nothing, by some releases.

        Raises:
            Malformed
        """
        match words:
            case []:
                return cls()
            case [int(low), int(high), str(release), *_] if (
                0 <= low <= high and len(release) <= RELEASE_CHARACTERS_MAX
            ):
                return cls((low, high), release)
        raise Malformed("versions that make no sense")

    def __str__(self) -> str:
        low, high = self.speaks
        release = f"release {self.release} " if self.release else ""
        return (
            f"{release}speaks version {low}" if low == high else f"{release}speaks versions {low} to {high}"
        )


def refusal(node: bytes, theirs: Versions, me: bytes, ours: Versions) -> str:
    """What a node is told that has no version in common with this one."""
    return (
        f"node {node.hex()}: {theirs}; node {me.hex()}: {ours}. They have none in common: bring in each release between"
        " them on all members first, one after another"
    )
