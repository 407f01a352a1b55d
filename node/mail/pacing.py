"""How long a message that was offered waits for its ack before it is written: the sync delay, drawn out by itself while
what is written is acknowledged in the middle of that. Such a message was written in vain, here and at the heir, and
deleted again; under load, when an answer takes longer than the delay, that is every third, and is itself the load.

Drawn out it is at most to `sync_delay_ms_max`, and as long as a good part of what is written was written in vain. Who
answers much later is waited for no longer than before. What a load has drawn out is halved with each second, so it ends
with the load, also where little is said afterwards.
"""

from node.mail.state import MailState

IN_VAIN_MS = 1.0
"""By so much a message that is acknowledged while it is being written draws the delay out."""
OF_USE_MS = 0.25
"""By so much one that was written before it was acknowledged draws it in."""
IN_TIME_MS = 0.02
"""… and one that was acknowledged before it was written: so one in fifty may be written in vain."""
HALVED_MS = 1_000
"""What is drawn out is half as much after this time."""
LEAST_MS = 1.0
"""Less than this is nothing."""


def delay_ms(state: MailState) -> int:
    """For a message that is offered now."""
    settings = state.settings
    delay = settings.sync_delay_ms
    if state.drawn_ms and delay:  # 0 is at once, whatever comes of it
        _lapse(state)
        return max(delay, min(delay + int(state.drawn_ms), settings.sync_delay_ms_max))
    return delay


def _lapse(state: MailState) -> None:
    """Halve it for each time that has passed since it was halved last, or begun."""
    passed = state.now - state.drawn_at
    if passed < 0:  # the clock was set back
        state.drawn_at = state.now
    elif passed >= HALVED_MS:
        times, rest = divmod(passed, HALVED_MS)
        state.drawn_at = state.now - rest
        state.drawn_ms *= 0.5 ** min(times, 64)
        if state.drawn_ms < LEAST_MS:
            state.drawn_ms = 0.0


def in_vain(state: MailState) -> None:
    """One was acknowledged while it was being written."""
    settings = state.settings
    if not state.drawn_ms:
        state.drawn_at = state.now
    most = settings.sync_delay_ms_max - settings.sync_delay_ms
    state.drawn_ms = max(0.0, min(state.drawn_ms + IN_VAIN_MS, most))


def draw_in(state: MailState, by_ms: float) -> None:
    """One wasn't."""
    if state.drawn_ms:
        state.drawn_ms = max(0.0, state.drawn_ms - by_ms)
