"""All that routing holds. Classes of state only: the logic is in the modules that take it, so that logic can be
replaced in a running node while the state stays."""

from collections import deque
from collections.abc import Callable

import attrs

from node.mail.state import MailState
from node.routing import codes, invariants
from node.routing.dormant import Dormant, Row
from node.routing.logins import packed, unpacked
from node.routing.seats import Seats
from node.routing.settings import RoutingSettings
from node.routing.surroundings import Accounts, Done, Phone, Phones, Ways
from replication.unknown import Unknown

ANNOUNCED_PER_TICK_MAX = 1_000
"""Sessions. Each is a login without a signature for its primary; after a takeover thousands are announced at once,
and what else goes on shall not wait for them."""

Login = tuple[int, int]
"""(epoch, counter)"""


class Kept:
    """A send or skip of a session here that isn't answered."""

    __slots__ = ("at", "base", "body", "line", "n", "sent")

    def __init__(self, line: "Line", n: int, base: int, body: bytes | None, at: int) -> None:
        self.line: Line | None = line  # None: it is answered, or forgotten
        self.n = n
        self.base = base
        self.body = body  # None: a skip
        self.at = at
        self.sent = False  # to the primary that the partition is open at

    def __repr__(self) -> str:
        return f"Kept(n={self.n}, {len(self.body or b'')} bytes, {'sent' if self.sent else 'waiting'})"


class Line:
    """What one session has sent to one recipient, unanswered."""

    __slots__ = ("kept", "part", "recipient", "session")

    def __init__(self, session: Phone, recipient: int, part: "Part") -> None:
        self.session = session
        self.recipient = recipient
        self.part = part
        self.kept: dict[int, Kept] = {}  # by n, in the order in which they came last


class Part:
    """A partition, as an edge sees it."""

    __slots__ = (
        "announce", "before", "bytes", "count", "lines", "number", "open", "sessions", "since", "target",
        "tried", "unsent",
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.target: bytes | None = None  # the primary at which it was opened last
        self.open = False  # what is for it may be sent there
        self.since = 0  # when it was needed and not open
        self.before = 0  # the same, before it was opened last: until an answer shows that it is served there
        self.tried = 0  # when it was last tried to open it
        self.lines: dict[tuple[int, int], Line] = {}  # by (ticket, recipient): to it
        # Of its users: a dictionary would cost each of them six times as much.
        self.sessions: list[Phone] = []
        self.unsent: deque[Kept] | None = (
            None  # wait for room in the link; what comes later waits behind them
        )
        # Sessions that the primary is to be told of, the first one at the end.
        self.announce: list[Phone] = []
        self.count = 0
        self.bytes = 0

    def __repr__(self) -> str:
        return f"Part({self.number}, open={self.open}, kept={self.count}, sessions={len(self.sessions)})"


class Remote:
    """A session at another edge, as the mail core sees it (`node.mail.state.Handle`). While nothing here is about it,
    it is a row of `Dormant` instead."""

    __slots__ = ("_login", "gone", "part", "peer", "round", "stream", "ticket", "used", "user")

    def __init__(
        self, peer: "Peer", part: int, user: int, stream: bytes, login: Login, ticket: int, announcement: int
    ) -> None:
        self.peer = peer
        self.part = part  # the user's partition
        self.user = user
        self.stream = stream
        self._login = packed(login)
        self.ticket = ticket
        self.round = announcement
        self.gone = False  # nothing is said to it any more
        self.used = False  # something was said to it, since it was looked at last

    @property
    def login(self) -> Login:
        """Of two sessions of a user the lower one ends."""
        return unpacked(self._login)

    def row(self) -> Row:
        """All that there is to know of it."""
        return Row(self.user, self.peer.node, self.ticket, self._login, self.round, self.stream)

    def __repr__(self) -> str:
        return f"Remote({self.user} at {self.peer.node.hex()}, login={self.login}, round={self.round})"


class Peer:
    """Another node, as edge and as primary."""

    __slots__ = (
        "again", "anew", "choked_at", "connected", "ends", "farewells", "greetings", "lost", "node", "notices",
        "opened", "receipts", "receipts_choked_at", "remotes", "run", "sessions", "telling", "untaken",
    )  # fmt: skip

    def __init__(self, node: bytes) -> None:
        self.node = node
        self.greetings: dict[str, None] = {}  # channels of new links that had no room for HELLO yet
        self.connected = False  # MESSAGES can be sent to it
        self.sessions = False  # SESSIONS can
        self.receipts = False  # RECEIPTS can
        # as an edge, of this node as its primary
        self.opened: set[int] = set()  # partitions of which it may send
        self.notices: dict[int, int] = {}  # partition → UNSERVED or SERVED, to be said
        self.remotes: dict[int, Remote] = {}  # by ticket
        self.lost: dict[int, Remote] = {}  # by ticket: something for them could not be queued
        self.again: dict[int, int] = {}  # ticket → round: to be told to announce it again
        self.ends: dict[tuple[int, int], int] = {}  # (ticket, round) → code: sessions to be closed
        self.choked_at = 0  # when something for it was missed, since the link was full
        self.run: list[int] | None = None  # accepted in a row: [ticket, recipient, first, last, how]
        # as a primary of recipients, of this node as the primary of senders
        self.telling: set[int] = set()  # partitions of which it has told, or asked, what may not be answered
        self.untaken: set[int] = set()  # those of which it has what wasn't taken in: it is to hear READY
        self.receipts_choked_at = 0  # when an answer to it was missed, since the link was full
        # as a primary, of this node as its edge
        self.farewells: dict[int, None] = {}  # tickets of sessions that ended: to be told
        self.anew = False  # it is to forget all sessions that are here: more of them ended than are kept


class Awaiting:
    """A registration that waits for the partition to be pledged. put, refuse: what becomes of it."""

    __slots__ = ("part", "put", "refuse", "until")

    def __init__(self, part: int, until: int, put: Callable[[], None], refuse: Callable[[], None]) -> None:
        self.part = part
        self.until = until
        self.put = put
        self.refuse = refuse


class Asking:
    """A request to the accounts of another node."""

    __slots__ = ("done", "fields", "number", "part", "peer", "until", "user", "what")

    def __init__(
        self,
        number: int,
        what: int,
        user: int,
        part: int,
        fields: tuple[object, ...],
        done: Done,
        until: int,
    ) -> None:
        self.number = number
        self.what = what
        self.user = user
        self.part = part  # the user's partition
        self.fields = fields  # holds PINs and signatures: never shown
        self.done = done
        self.until = until
        self.peer: bytes | None = None  # where it was put


@attrs.frozen(slots=True)
class Away:
    """A primary has said that it doesn't serve a partition: nothing is asked about its users for a pause."""

    node: bytes
    pause: int
    until: int


class Origin:
    """Where a sender spoke last."""

    __slots__ = ("at", "login", "peer", "stream", "ticket")

    def __init__(self, peer: Peer, ticket: int, login: Login, stream: bytes, at: int) -> None:
        self.at = at  # when
        self.peer = peer
        self.stream = stream
        self.ticket = ticket
        self.login = login


class RoutingState:
    """The whole. Time is the mail core's `now`."""

    def __init__(
        self, settings: RoutingSettings, ways: Ways, mail: MailState, accounts: Accounts, phones: Phones
    ) -> None:
        self.settings = settings
        self.ways = ways
        self.mail = mail
        if mail.served is None:
            mail.served = set()  # there are other nodes: receipts of senders who live there go to them
        self.accounts = accounts
        self.phones = phones
        self.served: set[int] = set()
        self.parts = tuple(Part(p) for p in range(ways.partitions))
        self.peers: dict[bytes, Peer] = {}
        self.homes: dict[int, int] = {}  # user → partition, as far as it was looked up
        # edge
        self.sessions: dict[int, Phone] = {}  # by user: logged in, whether or not they were welcomed
        self.tickets = Seats()
        self.ticket = 0  # the one that was given last
        self.lines: dict[int, dict[int, Line]] = {}  # ticket → recipient → line
        # Ticket → recipient → n: told to come back to it, and hasn't.
        self.back: dict[int, dict[int, int]] = {}
        self.kept = 0
        self.kept_bytes = 0
        self.waiting: dict[int, Part] = {}  # needed and not open
        self.moving: dict[int, Part] = {}  # with something unsent, or unannounced
        self.asks: dict[int, Asking] = {}
        self.asked = 0
        self.away: dict[int, Away] = {}  # by partition
        self.asks_due: set[int] = set()  # partitions of which something new is known, since the last pass
        self.looked_at = 0  # when kept sends were last looked through for old ones, and claims for other ones
        self.announcing = (
            ANNOUNCED_PER_TICK_MAX  # how many sessions may still be announced before the next tick
        )
        # primary
        self.coming: dict[int, Remote] = {}  # by user: announced, and not among mail's sessions yet
        self.awaiting: list[Awaiting] = []  # registrations
        self.unsettled: set[int] = set()  # partitions whose pledges are asked for, and no majority's are here
        self.pledged: set[int] = set()  # … to look at
        self.unpledged: set[int] = set()  # … in which a registration was refused for that
        self.dormant = Dormant()  # what else is announced, and not among mail's sessions
        self.resting: list[int] = []  # users whose sessions may be rows from now on
        self.woken: dict[int, int] = {}  # user → when it is looked whether anything was said to the session
        self.origins: dict[int, Origin] = {}  # by sender, who spoke last at the end
        self.wanting: dict[int, dict[bytes, None]] = {}  # partition → edges that would open it
        self.counter = 0  # of logins
        self.counts = Counts()
        self.unknown = {channel: Unknown() for channel in codes.CHANNELS}  # what newer releases say

    def check(self) -> None:
        """Assert what must hold between any two events; called by tests and simulations after each."""
        invariants.check(self)


@attrs.define
class Counts:
    """What happened since the start, for statistics."""

    kept: int = 0
    sent: int = 0
    resent: int = 0
    busy: int = 0
    busy_full: int = 0
    stale_answers: int = 0
    unanswered: int = 0
    dropped: int = 0
    opened: int = 0
    closed: int = 0
    announced: int = 0
    announced_again: int = 0
    superseded: int = 0
    refused: int = 0
    choked: int = 0
    asks: int = 0
    asks_failed: int = 0
    asks_again: int = 0
    asks_unpledged: int = 0
    malformed: int = 0
    unopened: int = 0
    handled: int = 0
    origins_forgotten: int = 0
    farewells_dropped: int = 0
    ends_dropped: int = 0
    tells_choked: int = 0
    told_choked: int = 0
    tells_unserved: int = 0
    tells_called: int = 0
