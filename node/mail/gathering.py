"""When the next batch may be handed to the store: after one of many messages as much later as that one took, within a
bound. Meanwhile more messages come, and most of what a batch costs doesn't depend on how many are in it: passes,
wake-ups and syncs on two nodes. Who writes alone, or with few others, is never waited with.
"""

from node.mail.state import Batch, MailState

MESSAGES = 8
"""In a batch after which the next one gathers."""
GATHER_MS_MAX = 8
"""It gathers for so long at most."""


def begin(state: MailState, batch: Batch) -> None:
    """A batch has been written: what comes gathers from now on."""
    if len(batch.messages) >= MESSAGES:
        state.gather_until = state.now + min(max(0, state.now - batch.started), GATHER_MS_MAX)


def may_write(state: MailState) -> bool:
    """Whether the next batch may go."""
    return state.committing is None and state.now >= may_write_at(state)


def may_write_at(state: MailState) -> int:
    """When it may."""
    return max(state.hold_until, state.gather_until)
