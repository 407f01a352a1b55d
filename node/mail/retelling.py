"""Receipts that went when two records of one met: whoever saw it asks the primary of the pair to tell again all that
the pair says.

A receipt's row is the last writer's. In a split both sides may have a primary of the sender, and what one of them was
told, and answered that it is durable, goes when its row loses. Nobody who has told it knows that. But the two rows meet
on the disks of those who take in one another's, and each of them notes it in the same transaction (`reconcile`), if it
is the primary, or has what its primary hasn't asked for. So nothing that one copy knew goes unnoted, whoever merges
first, and whoever dies then.

What was told twice is told; a note that had nothing behind it costs a repeat. It goes when the pair's primary has
written the pair with its receipts, or with its mark. Of notes that were made meanwhile the store knows by their places
in its own sequence. Nothing here knows where a node is, or how it is reached.
"""

from collections.abc import Sequence
from functools import partial

from node.mail import effects, healing, loading
from node.mail.notes import Note, NoteKey
from node.mail.pair import Pair
from node.mail.rounds import LAST, WAITS_MS
from node.mail.state import Batch, MailState, Teller

SCAN_NOTES = 64
"""Notes read in one step."""
NOTES_MAX = 4_096
"""In memory. The others stay where they are until these are answered, or make room: see `_make_room`."""
ASKED_MAX = 100
"""In one `ASKED_EVERY_MS`, by one node. After a split there may be as many notes as receipts that are owed, each of
them makes another node load a pair, and nobody is in a hurry."""
ASKED_EVERY_MS = 100
SCAN_AGAIN_MS = 1_000
"""After the store didn't read them."""
READ_AGAIN_MS = WAITS_MS[LAST]
"""From one beginning to the next one, where some had to make room and nothing is heard of their primary."""

# ---- at whoever has notes --------------------------------------------------------------------------------


def look(state: MailState, noted: int) -> None:
    """Read notes, and ask. noted: as of `MailTables`."""
    notes, now = state.notes, state.now
    if noted != notes.seen:
        notes.seen, notes.anew = noted, True
    again = notes.anew or (notes.left and not 0 <= now - notes.began < READ_AGAIN_MS)
    if again and not notes.due and not notes.scanning:
        notes.due, notes.anew, notes.after, notes.began = True, False, None, now
        notes.left.clear()
    if notes.due and not notes.scanning and now >= notes.scan_at and _make_room(state):
        notes.scanning = True
        notes.due = False
        state.out.append((effects.SCAN_NOTES, notes.after, SCAN_NOTES))
    if not notes.found:
        return
    if not 0 <= now - notes.asked_since < ASKED_EVERY_MS:
        notes.asked_since, notes.asked = now, 0
    for note in notes.rounds.due(now, ASKED_MAX - notes.asked):
        notes.asked += 1
        notes.rounds.go_on(note, now)
        state.counts.retells_asked += 1
        state.out.append((effects.RETELL, *note.key, note.number))


def scanned(state: MailState, rows: Sequence[tuple[NoteKey, int]], after: NoteKey | None) -> None:
    """The answer to SCAN_NOTES: (key, local sequence), and where to go on (None: that was all)."""
    notes = state.notes
    notes.scanning = False
    for row, sequence in rows:
        _add(state, row, sequence)
    notes.after, notes.due = after, after is not None


def not_scanned(state: MailState) -> None:
    """SCAN_NOTES was of no use: from the beginning, after a while."""
    notes = state.notes
    notes.scanning, notes.due, notes.after = False, True, None
    notes.scan_at = state.now + SCAN_AGAIN_MS


def _make_room(state: MailState) -> bool:
    """Whether there is room for what is read in one step. Those that were asked for twice, and not answered, make room
    for others whose primary may be there: they are on disk, and are read again."""
    notes = state.notes
    wanted = len(notes.found) + SCAN_NOTES - NOTES_MAX
    if wanted > 0:
        for note in notes.rounds.unanswered(state.now, wanted):
            notes.rounds.drop(note)
            notes.left.add(note.home)
            del notes.found[note.key]
            wanted -= 1
    return wanted <= 0


def _add(state: MailState, row: NoteKey, sequence: int) -> None:
    notes = state.notes
    _, recipient, sender, stream = row
    key = (recipient, sender, stream)
    note = notes.found.get(key)
    if note is None:
        assert state.partition_of is not None
        note = notes.found[key] = Note(key, state.partition_of(recipient))
    if note.rows.get(row) != sequence:
        note.rows[row] = sequence
        notes.number += 1
        note.number = notes.number
        notes.rounds.at_once(note, state.now)


def answered(state: MailState, recipient: int, sender: int, stream: bytes, number: int) -> None:
    """The pair's primary has it in hand for good."""
    notes = state.notes
    note = notes.found.get((recipient, sender, stream))
    if note is not None and note.number == number:
        notes.rounds.drop(note)
        state.out.append((effects.NOTES_OFF, note.key, number, tuple(note.rows.items())))


def taken_off(state: MailState, key: tuple[int, int, bytes], number: int, *, failed: bool) -> None:
    """The answer to NOTES_OFF."""
    notes = state.notes
    note = notes.found.get(key)
    if note is None or note.number != number:
        return  # there are others by now
    if failed:
        notes.rounds.begin(note, state.now)
    else:
        notes.rounds.drop(note)
        del notes.found[key]


def hurry(state: MailState, home: int) -> None:
    """Pairs of this partition, whose primary couldn't be asked before, may be asked for now."""
    if home in state.notes.left:
        state.notes.anew = True
    state.notes.rounds.hurry(home, state.now)


def put_off(state: MailState, recipient: int, sender: int, stream: bytes) -> None:
    """There was no room to ask: it is done before long."""
    note = state.notes.found.get((recipient, sender, stream))
    if note is not None:
        state.notes.rounds.put_off(note, state.now)


# ---- at the pair's primary -------------------------------------------------------------------------------


def asked(state: MailState, asker: Teller, recipient: int, sender: int, stream: bytes, number: int) -> bool:
    """Tell again all that the pair says. RETOLD follows when that can't be forgotten any more. False: there is no room
    for it, see `has_room`."""
    return loading.with_pair(
        state, (recipient, sender, stream), partial(_retell, state, asker=asker, number=number)
    )


def has_room(state: MailState) -> bool:
    """Whether whoever was put off should ask again: there is room for many."""
    return state.loads_waiting <= state.settings.loads_waiting_max // 2


def _retell(state: MailState, pair: Pair, asker: Teller, number: int) -> None:
    if pair.untouched() and not pair.read:
        state.out.append((effects.RETOLD, asker, *pair.key, number))  # it is purged, and says nothing
        return
    state.notes.askers.setdefault(pair.key, {})[asker] = number
    healing.tell(state, pair, marked=False)


def gather(state: MailState, pair: Pair, batch: Batch) -> None:
    """The pair goes into a batch, with its receipts or its mark."""
    askers = state.notes.askers.pop(pair.key, None)
    if askers is not None:
        batch.askers.append((pair, askers))


def written(state: MailState, batch: Batch) -> None:
    """They are durable."""
    for pair, askers in batch.askers:
        for asker, number in askers.items():
            state.out.append((effects.RETOLD, asker, *pair.key, number))


def not_written(state: MailState, batch: Batch) -> None:
    """They will be."""
    for pair, askers in batch.askers:
        state.notes.askers[pair.key] = askers | state.notes.askers.get(pair.key, {})
