"""Which of our modules may be replaced in a running node at all.

This module must never look at what changed in them.
"""

from typing import Final, Literal

import attrs

PACKAGES: Final = ("admin", "client", "node", "ops", "replication", "store")
LIVE: Final = ("admin", "node", "replication", "store")
"""What a node is made of, and its operation. The rest of ours runs at a start, or elsewhere."""

UNWATCHED: Final = ("replication",)
"""What of these fails beside the hub ends the node: a step of a replica that was half done must not be gone on from."""


@attrs.frozen
class Rule:
    """`later`: a change takes effect at the next start, and nothing is lost by that; `never`: it needs a restart."""

    prefix: str
    verdict: Literal["later", "never"]
    cause: str


RULES: Final = (
    Rule("client", "later", "it is no part of a node"),
    Rule("ops", "later", "it puts a node together, which has happened"),
    Rule("admin.reload", "never", "it is what replaces code, and would have to replace itself while it does"),
    Rule(
        "store",
        "never",
        "its writer runs in a thread of its own, for which there is no point between two batches",
    ),
    Rule("node.wire.waystation", "never", "the wire's schema changed: phones speak it"),
)


def rule_of(module: str) -> Rule | None:
    """The rule that holds for a module; None: it may be replaced."""
    return next((one for one in RULES if module == one.prefix or module.startswith(f"{one.prefix}.")), None)
