"""Which of our modules may be replaced in a running node at all.

This module must never look at what changed in them.
"""

from typing import Final, Literal

import attrs

PACKAGES: Final = ("admin", "client", "node", "ops", "replication", "store")
LIVE: Final = ("admin", "node", "replication", "store")
"""What a node is made of, and its operation. The rest of ours runs at a start, or elsewhere."""

HALF_DONE: Final = ("replication.carrier", "replication.core", "replication.errands")
"""A step of a replica that broke off in there must not be gone on from, whatever code runs next: its memory may be
ahead of its disk, and what it says then would be believed."""
UNGUARDED: Final = (
    *((prefix, "a failure in it ends the node, and isn't taken back") for prefix in HALF_DONE),
    (
        "replication",
        "a failure of it in what comes over links, or is judged of peers, ends the node, and isn't taken back",
    ),
)
"""Beginning of a module's name → what a plan notes of it; the first that fits."""


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
    Rule("node.wire.generated", "never", "it is made from the wire's schema: phones speak it"),
)


def rule_of(module: str) -> Rule | None:
    """The rule that holds for a module; None: it may be replaced."""
    return next((one for one in RULES if is_within(module, one.prefix)), None)


def unguarded(module: str) -> str:
    """What of its failures isn't taken back; "" if all are."""
    return next((cause for prefix, cause in UNGUARDED if is_within(module, prefix)), "")


def is_within(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(f"{prefix}.")
