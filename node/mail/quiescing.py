"""Before a node hands its sessions to another process: everything is written without its delays, and every question to
the store is answered, so that nothing is left that only this memory knows.

Nothing may come in meanwhile; whoever calls this sees to that.
"""

from node.mail.state import MailState


def hasten(state: MailState) -> None:
    """What waits to be written is due now. To be called again until `is_quiet`: answers bring more."""
    now = state.now
    for _, message in state.delayed:
        message.due = min(message.due, now)
    if state.dirty and state.dirty[-1][0] > now:
        state.dirty = type(state.dirty)((min(due, now), pair) for due, pair in state.dirty)
    if state.dirty_owed and state.dirty_owed[-1][0] > now:
        state.dirty_owed = type(state.dirty_owed)((min(due, now), owed) for due, owed in state.dirty_owed)


def is_quiet(state: MailState) -> bool:
    """Whether everything is on disk, and nobody waits for what the store says. Looks at every pair in memory only if
    all else is quiet. Wipes aren't waited for: the next process takes them up as after any end."""
    return not (
        state.out
        or state.committing is not None
        or state.pending
        or state.loads_waiting
        or state.box_loading
        or state.owed_loading
        or state.arriving
        or state.purges
        or any(pair.dirty for _, pair in state.dirty)
        or any(owed.dirty for _, owed in state.dirty_owed)
        or any(pair.asked or pair.owing or pair.dirty or pair.writing for pair in state.pairs.values())
    )
