"""Partitions of which this node is not the primary any more: what memory holds of them is forgotten, as a crash
would.

Nobody is answered: whoever waits asks the next primary. Sessions of users who live there are given back. What the
store is still to say of them is not this module's business: whoever drives the core sees from the identity of what
waits (a pair, a box, a list of events) that nobody waits any more, and calls `forgotten`.

A pair of a partition that stays may have acks that are not written, and whose receipts are for a sender whose
partition goes. They are written together or never, so that recipient's box goes as well, and its session with it: its
client says again what was not confirmed.
"""

from collections.abc import Callable, Collection

from node.mail import effects, healing, presence, receipts, telling, wipes
from node.mail.intervals import Intervals
from node.mail.pair import Pair
from node.mail.state import Box, Effect, Handle, MailState

Ended = list[tuple[int, Handle]]
"""(user, session)"""

_OF_USERS = frozenset((effects.LOAD, effects.LOAD_BOX, effects.SCAN))
_OF_PAIRS = frozenset((effects.LOOKUP, effects.FIND, effects.FETCH))
_OF_SENDERS = frozenset((effects.LOAD_OWED, effects.SCAN_OWED))


def dropped(state: MailState, partitions: Collection[int], partition_of: Callable[[int], int]) -> Ended:
    """Forget everything of these partitions. Gives the sessions that ended by it. Never called while effects of the
    core are being carried out: those that were asked for and not carried out yet are forgotten, too."""
    known: dict[int, bool] = {}

    def lives_there(user: int) -> bool:
        found = known.get(user)
        if found is None:
            found = known[user] = partition_of(user) in partitions
        return found

    boxes = [
        box
        for box in state.boxes.values()
        if box.partition in partitions or any(map(lives_there, _waited_for(box)))
    ]
    leaving = {box.user for box in boxes}

    def goes(user: int) -> bool:
        return user in leaving or lives_there(user)

    ended: Ended = []
    if state.distant is not None:
        state.distant.wake_all(partitions)
    for sessions in (state.arriving, state.sessions):
        ended += [(user, sessions.pop(user)) for user in tuple(sessions) if goes(user)]
    for user, handle in ended:
        receipts.end(state, user, handle)
    for box in boxes:
        _forget_box(state, box)
    _forget_owed(state, lives_there)
    _forget_tellings(state, partitions)
    _forget_batch(state, partitions, {box.partition for box in boxes}, lives_there)
    _forget_asked(state, {id(handle) for _, handle in ended}, goes, lives_there)
    _forget_loads(state, goes)
    _forget_wipes(state, leaving, lives_there)
    state.purges = [
        (key, day) for key, day in state.purges if not (lives_there(key[0]) or lives_there(key[1]))
    ]
    for partition in partitions:
        state.healing.pop(partition, None)
    for partition in {box.partition for box in boxes}.intersection(state.healing):
        del state.healing[partition]  # it may wait for what was dropped: from the beginning
        healing.begin(state, partition)
    state.counts.dropped += len(boxes)
    if state.served is not None:
        state.disturbed.update({box.partition for box in boxes}.difference(partitions))
    return ended


def has_come(state: MailState, partitions: Collection[int], partition_of: Callable[[int], int]) -> bool:
    """Whether memory holds a recipient's mail or a sender's receipts of these partitions."""
    if any(box.partition in partitions for box in state.boxes.values()):
        return True
    senders = {*state.owed, *(key[0] for key in state.owed_loading)}
    return any(partition_of(user) in partitions for user in (*senders, *(key[0] for key in state.loading)))


def _waited_for(box: Box) -> list[int]:
    """Senders who are owed something together with which pairs of this box are to be written."""
    return [pair.sender for pair in box.pairs.values() if pair.dirty or pair.writing or pair.owing]


def _forget_box(state: MailState, box: Box) -> None:
    presence.release(box)
    for pair in box.pairs.values():
        state.notes.askers.pop(pair.key, None)  # they ask again
        del state.pairs[pair.key]
        _forget_pair(state, pair)
    box.pairs = {}
    del state.boxes[box.user]


def _forget_pair(state: MailState, pair: Pair) -> None:
    """Nothing that is still to come for it may find anything to do."""
    for message in pair.pending.values():
        state.pending -= 1
        state.pending_bytes -= message.size
    pair.pending = {}
    state.doomed -= len(pair.doomed)
    pair.doomed = {}
    state.abandoned += pair.asked
    for _, _, body in pair.behind or ():
        state.held_bytes -= len(body or b"")
    pair.behind = None
    pair.acked = pair.skipped = None
    pair.read_told = 0
    pair.untold = pair.dirty = pair.writing = pair.parked = False
    pair.seen = None


def _forget_owed(state: MailState, lives_there: Callable[[int], bool]) -> None:
    for sender in [sender for sender in state.owed if lives_there(sender)]:
        for owed in state.owed.pop(sender).values():
            owed.dirty = owed.writing = False
    for key in [key for key in state.owed_loading if lives_there(key[0])]:
        del state.owed_loading[key]


def _forget_tellings(state: MailState, partitions: Collection[int]) -> None:
    """Whoever serves the pairs next finds their marks."""
    for one in [one for one in state.telling.values() if one.part in partitions]:
        telling.forget(state, one)
    state.tell_later.difference_update(partitions)


def _forget_batch(
    state: MailState, partitions: Collection[int], cut: set[int], lives_there: Callable[[int], bool]
) -> None:
    """What waits to be written goes from the queues; of the batch that is being written, nobody hears any more."""
    here = state.pairs.get
    for name in ("urgent", "delayed"):
        queue = getattr(state, name)
        setattr(state, name, type(queue)(item for item in queue if here(item[0].key) is item[0]))
    state.dirty = type(state.dirty)(item for item in state.dirty if here(item[1].key) is item[1])
    state.dirty_owed = type(state.dirty_owed)(
        item for item in state.dirty_owed if not lives_there(item[1].sender)
    )
    state.dirty_tellings = type(state.dirty_tellings)(item for item in state.dirty_tellings if item[1].dirty)
    state.throttled = type(state.throttled)(pair for pair in state.throttled if here(pair.key) is pair)
    batch = state.committing
    if batch is None:
        return
    batch.cut.update(partitions, cut)
    batch.messages = [item for item in batch.messages if here(item[0].key) is item[0]]
    batch.deletes = [item for item in batch.deletes if here(item[0].key) is item[0]]
    batch.pairs = [pair for pair in batch.pairs if here(pair.key) is pair]
    batch.askers = [item for item in batch.askers if here(item[0].key) is item[0]]
    batch.told = [pair for pair in batch.told if here(pair.key) is pair]
    batch.boxes = [box for box in batch.boxes if state.boxes.get(box.user) is box]
    batch.untold += [
        (owed.recipient, owed.sender, owed.stream) for owed, _ in batch.owed if lives_there(owed.sender)
    ]
    batch.owed = [item for item in batch.owed if not lives_there(item[0].sender)]
    batch.purged = [item for item in batch.purged if not (lives_there(item[0][0]) or lives_there(item[0][1]))]
    batch.marks = [item for item in batch.marks if item[0].part not in partitions]
    batch.tellers = [item for item in batch.tellers if not lives_there(item[0].sender)]
    batch.acked = _kept(state, batch.acked)
    batch.skipped = _kept(state, batch.skipped)
    batch.read = [item for item in batch.read if here(item[0].key) is item[0]]


def _kept(state: MailState, answers: list[tuple[Pair, Intervals]]) -> list[tuple[Pair, Intervals]]:
    return [item for item in answers if state.pairs.get(item[0].key) is item[0]]


def _forget_asked(
    state: MailState, ended: set[int], goes: Callable[[int], bool], lives_there: Callable[[int], bool]
) -> None:
    """Effects that nobody has carried out yet."""
    kept: list[Effect] = []
    for effect in state.out:
        code, about = effect[0], effect[1]
        if code in _OF_PAIRS:
            if state.pairs.get(about.key) is not about:
                forgotten(state, effect)
                continue
        elif (
            (code in _OF_USERS and goes(about))
            or (code in _OF_SENDERS and lives_there(about))
            or (code == effects.SCAN_WAITING and lives_there(about))
            or (code == effects.AGED and goes(about[0]))
            or (code == effects.BACKLOG and id(about) in ended)
        ):
            continue
        kept.append(effect)
    state.out = kept


def _forget_loads(state: MailState, goes: Callable[[int], bool]) -> None:
    out, state.out = state.out, []
    for key in [key for key in state.loading if goes(key[0])]:
        waiting = state.loading.pop(key)
        state.loads_waiting -= len(waiting)
        state.loads_of.pop(key[0], None)
        for _, otherwise in waiting:
            otherwise()  # gives back what it holds; what it says, it says to nobody
    state.out = out
    for user in [user for user in state.box_loading if goes(user)]:
        del state.box_loading[user]


def _forget_wipes(state: MailState, leaving: set[int], lives_there: Callable[[int], bool]) -> None:
    for user in tuple(state.wipes):
        if lives_there(user):
            del state.wipes[user]  # whoever serves the user next begins it anew
        elif user in leaving:
            running = wipes.start(state, user, state.wipes[user].generation)
            running.left.clear()
            wipes.advance(state, running)
    state.wipes_paused = type(state.wipes_paused)(
        item for item in state.wipes_paused if state.wipes.get(item[1].user) is item[1]
    )


def forgotten(state: MailState, effect: Effect) -> None:
    """The store has answered, or never will, what was asked for something that was dropped since."""
    if effect[0] == effects.LOOKUP:
        state.abandoned -= 1
        if effect[3] is not None:
            state.held_bytes -= len(effect[3])
    elif effect[0] == effects.FIND:
        state.abandoned -= 1
