"""What is held of pairs that are to be told again since two records of a receipt met. Classes of state only, see
`retelling`."""

from typing import TYPE_CHECKING

from node.mail.pair import PairKey
from node.mail.rounds import Rounds

if TYPE_CHECKING:
    from node.mail.state import Teller

NoteKey = tuple[int, int, int, bytes]
"""(partition in which it was noted, recipient, sender, stream)"""


class Note:
    """A pair whose primary is to tell again all that it says."""

    __slots__ = ("asked", "home", "key", "number", "round", "rows")

    def __init__(self, key: PairKey, home: int) -> None:
        self.key = key
        self.home = home  # the recipient's partition
        self.rows: dict[NoteKey, int] = {}  # its notes → their local sequences
        self.number = 0  # of the question: an earlier one's answer says nothing of notes that came since
        self.asked = self.round = 0  # of `rounds`


class Notes:
    """All of them, as far as they were read, and who is to be answered."""

    __slots__ = (
        "after", "anew", "asked", "asked_since", "askers", "began", "due", "found", "left", "number", "rounds",
        "scan_at", "scanning", "seen",
    )  # fmt: skip

    def __init__(self) -> None:
        # at whoever has notes
        self.found: dict[PairKey, Note] = {}
        self.rounds = Rounds[Note]()  # those that weren't answered
        self.number = 0  # the one that was given last
        self.seen = 0  # what the tables said last of new ones
        self.anew = False  # when all are read, from the beginning
        self.began = 0  # when it was last read from the beginning
        self.left: set[int] = set()  # homes of those that made room since
        self.due = False  # there are some that weren't read
        self.scanning = False
        self.scan_at = 0  # not before
        self.after: NoteKey | None = None
        self.asked_since = 0  # when it was begun to count
        self.asked = 0  # asked since
        # at the primary of pairs
        self.askers: dict[PairKey, dict[Teller, int]] = {}
        """→ number: to be answered when the pair is written."""
