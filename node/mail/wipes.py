"""How far the ending of what waited for a replaced device has come: a chunk of pairs is found on disk, ended, and
written before the next is looked for; so a wipe of any size holds little memory, and may be cut off anywhere."""

from node.mail import effects
from node.mail.pair import Pair
from node.mail.state import MailState, Wipe

WIPE_PAIRS = 32
"""Pairs whose waiting messages are ended in one step."""


def start(state: MailState, user: int, generation: int) -> Wipe:
    """A wipe begins; one that runs already begins again for the newer device."""
    running = state.wipes.get(user)
    if running is None:
        running = state.wipes[user] = Wipe(user)
    running.generation = generation
    running.after = None
    running.finishing = False
    running.again = running.scanning
    return running


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


def advance(state: MailState, running: Wipe) -> None:
    """Go on, if nothing of the last chunk is left to be written."""
    if running.left or running.scanning:
        return
    if running.finishing:
        del state.wipes[running.user]
        state.out.append((effects.WIPED, running.user, running.generation))
    else:
        running.scanning = True
        state.out.append((effects.SCAN_WAITING, running.user, running.after, WIPE_PAIRS))
