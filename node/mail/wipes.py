"""How far the ending of what waited for a replaced device has come: a chunk of pairs is found on disk, ended, and
written before the next is looked for; so a wipe of any size holds little memory, and may be cut off anywhere."""

from node.mail import effects
from node.mail.pair import Pair, PairKey
from node.mail.state import MailState, Wipe

WIPE_PAIRS = 32
"""Pairs whose waiting messages are ended in one step."""
PAUSE_MS = 1_000
"""After something could not be read. Meanwhile the user can't log in."""


def start(state: MailState, user: int, generation: int) -> Wipe:
    """A wipe begins; one that runs already begins again for the newer device."""
    running = state.wipes.get(user)
    if running is None:
        running = state.wipes[user] = Wipe(user)
    running.generation = generation
    running.again = running.scanning
    _from_start(running)
    return running


def _from_start(running: Wipe) -> None:
    running.after = None
    running.finishing = False
    running.failed = False
    running.paused = False


def scanned(state: MailState, user: int, after: tuple[int, bytes] | None) -> Wipe:
    """A chunk was found; ``after`` None: the last one."""
    running = state.wipes[user]
    running.scanning = False
    if running.again:
        running.again = False
    else:
        running.after = after
        running.finishing = after is None
    return running


def written(state: MailState, pair: Pair) -> None:
    """A pair was written, and is clean."""
    running = state.wipes.get(pair.recipient)
    if running is not None and pair.key in running.left:
        del running.left[pair.key]
        advance(state, running)


def failed(state: MailState, user: int) -> None:
    """A chunk could not be looked for."""
    running = state.wipes[user]
    running.scanning = False
    running.again = False
    running.failed = True
    advance(state, running)


def missed(state: MailState, key: PairKey) -> None:
    """A pair of the chunk could not be loaded."""
    running = state.wipes.get(key[0])
    if running is not None and key in running.left:
        del running.left[key]
        running.failed = True
        advance(state, running)


def resume(state: MailState) -> None:
    """Begin again those whose pause is over."""
    while state.wipes_paused and state.wipes_paused[0][0] <= state.now:
        running = state.wipes_paused.popleft()[1]
        if running.paused:  # otherwise a newer device has begun it again
            _from_start(running)
            advance(state, running)


def advance(state: MailState, running: Wipe) -> None:
    """Go on, if nothing of the last chunk is left to be written."""
    if running.left or running.scanning or running.paused or state.wipes.get(running.user) is not running:
        return
    if running.failed:
        running.paused = True
        state.wipes_paused.append((state.now + PAUSE_MS, running))
    elif running.finishing:
        del state.wipes[running.user]
        state.out.append((effects.WIPED, running.user, running.generation))
    else:
        running.scanning = True
        state.out.append((effects.SCAN_WAITING, running.user, running.after, WIPE_PAIRS))
