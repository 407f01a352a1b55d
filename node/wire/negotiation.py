"""Which protocol version and which features two sides share; both sides run the same function.

The client offers a range of versions and the features it knows; the server answers with the highest version
that both speak and the features that both know, in the client's order. A feature that only one side knows is
never an error. This module must never know what a feature does.
"""

from collections.abc import Collection, Sequence
from typing import Final

from node.wire.errors import UNSUPPORTED_VERSION, WireError

VERSION_LOWEST: Final = 1
VERSION_HIGHEST: Final = 1


def agree_version(lowest: int, highest: int) -> int:
    """The highest version that a peer offering `lowest..highest` shares with this side.

    Raises:
        WireError: unsupported_version; the text says what this side speaks.
    """
    version = min(highest, VERSION_HIGHEST)
    if version < max(lowest, VERSION_LOWEST):
        raise WireError(
            UNSUPPORTED_VERSION, f"this side speaks versions {VERSION_LOWEST} to {VERSION_HIGHEST}"
        )
    return version


def agree_features(offered: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """The offered features that are known here, each once, in the order of the offer."""
    return tuple(dict.fromkeys(feature for feature in offered if feature in known))
