"""The router of a node in a cluster: what its sessions say goes to the primary of whom it concerns, here or
elsewhere, and what primaries say goes to sessions. Synchronous and without I/O; everything happens inside a pass of
the hub.

Put together by the composition root, before the mail core's driver:

    routing = RoutingState(RoutingSettings(), ways, mail, accounts, phones)      # see `surroundings`
    router = Router(routing)
    driver = MailDriver(mail, tables, router.outlets(), known, wiped, Replicated(carrier), router.ended)
    for channel in codes.CHANNELS: links.open(channel)

A pass: `mail.now` is set; then what came is handed over (`received`, the verbs, `claimed`, …); then carrier, driver,
`driver.tick()`, carrier, driver, and at last `router.end_pass()`, before what was queued for sockets and links is
written. What `end_pass` asks of the mail core (a session that goes offline) may wait for the next pass.

A partition that the replica says is served: `driver.serve((p,))`, then `router.serve((p,))`. One that isn't any more:
`router.cease((p,))`, then `driver.drop((p,))`. `claimed(p)` whenever a claim is learned of, anybody's.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import attrs

from node.mail.state import Effect, Handle
from node.routing import (
    answering,
    asking,
    awaiting,
    codes,
    dispatch,
    dormancy,
    handover,
    hosting,
    keeping,
    opening,
    seating,
    telling,
)
from node.routing.homes import home
from node.routing.state import Line, Login, Peer, RoutingState
from node.routing.surroundings import Done, Phone


class Router:
    """`state.check()` asserts what must hold; tests and simulations call it after each event."""

    __slots__ = ("state",)

    def __init__(self, state: RoutingState) -> None:
        self.state = state
        state.mail.distant = dormancy.Distant(state)

    # ---- what the mail core's driver takes -------------------------------------------------------------

    def outlets(self) -> Mapping[int, Callable[[Effect], None]]:
        """For all effects that concern sessions."""
        return answering.outlets(self.state)

    def ended(self, user: int, handle: Handle) -> None:
        """The driver's `ended`: a session's partition was dropped. Its connection stays."""
        hosting.ended(self.state, user, handle)

    # ---- account requests, as of `Accounts` ------------------------------------------------------------

    def request_pin(self, user: int, address: str, done: Done) -> None:
        """As `Accounts.request_pin`, at whoever is the user's primary."""
        asking.ask(self.state, codes.PIN, user, (address,), done)

    def register(self, user: int, pin: str, key: bytes, stream: bytes, address: str, done: Done) -> None:
        """As `Accounts.register`, at whoever is the user's primary; refused `overloaded` without a majority."""
        asking.ask(self.state, codes.REGISTER, user, (pin, key, stream, address), done)

    def login(
        self, user: int, nonce: bytes, certificate_sha256: bytes, signature: bytes, address: str, done: Done
    ) -> None:
        """As `Accounts.login`, at whoever is the user's primary. Then `seat` the session."""
        asking.ask(self.state, codes.LOGIN, user, (nonce, certificate_sha256, signature, address), done)

    # ---- sessions here -----------------------------------------------------------------------------------

    def seat(self, session: Phone, user: int, stream: bytes, login: Login) -> None:
        """A session has logged in. Sets its `user`, `stream`, `login`, `ticket` and `round`. `Phones.welcome`
        follows, or `Phones.end`; an older session of the user here ends at once."""
        seating.seat(self.state, session, user, stream, login)

    def take_up(
        self,
        session: Phone,
        user: int,
        stream: bytes,
        login: Login,
        sent: Iterable[handover.Sent],
        back: Iterable[tuple[int, int]],
    ) -> None:
        """Another process of this node had seated it; see `handover`. Before anything else of it is heard."""
        seating.seat(self.state, session, user, stream, login)
        if not session.ticket:
            return  # a login that came since was faster
        for recipient, n, base, body in sent:
            self.send(session, recipient, n, base, body)
        handover.hold_to(self.state, session, back)

    def belongings(self, session: Phone) -> tuple[list[handover.Sent], list[tuple[int, int]]]:
        """What `take_up` is told of it."""
        return handover.sent_by(self.state, session), handover.told_back(self.state, session)

    def go_on_from(self, ticket: int) -> None:
        """Another process of this node had given tickets up to this one."""
        handover.go_on_from(self.state, ticket)

    def left(self, session: Phone) -> None:
        """The session ended. Nothing happens if it never was seated, or the second time."""
        seating.leave(self.state, session)

    def send(self, session: Phone, recipient: int, n: int, base: int, body: bytes | None) -> None:
        """A send of the session's stream, or a skip (``body`` None). Answered by ACCEPTED, GAP, BUSY or REFUSED, or
        drowned after a GAP or BUSY."""
        state = self.state
        kept = keeping.keep(state, session, recipient, n, base, body)
        if kept is None:
            return
        line = kept.line
        assert line is not None
        part = line.part
        if not part.open:
            opening.want(state, part)
        elif part.unsent or not keeping.pass_on(state, kept):
            opening.wait(part, kept)
            state.moving[part.number] = part

    def hold_off(self, session: Phone, recipient: int, n: int, retry_ms: int) -> None:
        """A send that isn't to be looked at now: its sender is to come back to it."""
        state = self.state
        line = keeping.find(state, session, recipient)
        part = state.parts[home(state, recipient)] if line is None else line.part
        keeping.give_back(state, line or Line(session, recipient, part), n, retry_ms)

    def is_talking_to(self, session: Phone, recipient: int) -> bool:
        """Whether something that it sent to this recipient is unanswered: then the number is a phone's."""
        return keeping.find(self.state, session, recipient) is not None

    def ack(self, session: Phone, sender: int, stream: bytes, first: int, last: int) -> None:
        """The phone has these messages. Not kept: what isn't confirmed comes again."""
        self._to_own_primary(session, (codes.ACK, session.user, sender, stream, first, last))

    def read(self, session: Phone, sender: int, stream: bytes, upto: int) -> None:
        """Its owner has read them."""
        self._to_own_primary(session, (codes.READ, session.user, sender, stream, upto))

    def confirm(
        self, session: Phone, recipient: int, stream: bytes, kind: int, first: int, last: int
    ) -> None:
        """It has stored a receipt."""
        self._to_own_primary(session, (codes.CONFIRM, session.user, recipient, stream, kind, first, last))

    def _to_own_primary(self, session: Phone, message: tuple[Any, ...]) -> None:
        seating.speak(self.state, session, message)

    # ---- the operator, and accounts --------------------------------------------------------------------

    def end_user(self, user: int, code: int) -> None:
        """End whatever session the user has, at any edge; for users whose primary is this node."""
        hosting.end_user(self.state, user, code)

    # ---- links and claims ------------------------------------------------------------------------------

    def received(self, node: bytes, channel: str, message: list[Any]) -> None:
        """A message of a peer. One that makes no sense is counted, and the link it came on begins anew."""
        state = self.state
        peer = self._peer(node)
        if channel == codes.MESSAGES:
            sound = dispatch.messages(state, peer, message)
        elif channel == codes.SESSIONS:
            sound = dispatch.sessions(state, peer, message)
        else:
            sound = dispatch.receipts(state, peer, message)
        if not sound:
            state.counts.malformed += 1
            state.ways.reset(node, channel)

    def connected(self, node: bytes, channel: str) -> None:
        """`Ways.send` reaches the peer on this channel from now on."""
        self._greet(self._peer(node), channel)

    def _greet(self, peer: Peer, channel: str) -> None:
        """Nothing that counts is said over a new link before HELLO, which waits for room: the peer may have missed that
        the one before ended, and would take what it had said there as known here."""
        state, node = self.state, peer.node
        if not state.ways.send(node, channel, (codes.HELLO,)):
            peer.greetings[channel] = None
            return
        peer.greetings.pop(channel, None)
        if channel == codes.MESSAGES:
            peer.connected = True
        elif channel == codes.SESSIONS:
            peer.sessions = True
            peer.anew = False  # it has just been told
        else:
            peer.receipts = True
            telling.reached(state, node)
        opening.found(state, node)

    def disconnected(self, node: bytes, channel: str) -> None:
        """It doesn't any more; what was sent last may be lost."""
        state = self.state
        peer = self._peer(node)
        peer.greetings.pop(channel, None)
        if channel == codes.MESSAGES:
            peer.connected = False
            hosting.parted(state, peer)
        elif channel == codes.SESSIONS:
            peer.sessions = False
            asking.lost(state, node)
        else:
            peer.receipts = False
            return
        opening.lost(state, node)

    def claimed(self, p: int) -> None:
        """A partition's claim may be another one."""
        awaiting.pledged(self.state, p)
        opening.claimed(self.state, self.state.parts[p])
        asking.claimed(self.state, p)
        telling.claimed(self.state, p)

    def serve(self, partitions: Collection[int]) -> None:
        """This node serves them from now on, perhaps anew."""
        for p in partitions:
            hosting.serve(self.state, p)
            asking.claimed(self.state, p)
        telling.served(self.state, partitions)

    def cease(self, partitions: Collection[int]) -> None:
        """It doesn't, perhaps for a moment."""
        hosting.cease(self.state, partitions)
        telling.ceased(self.state, partitions)

    # ---- time ------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Every 100 ms or so, in a pass."""
        opening.tick(self.state)
        asking.tick(self.state)
        awaiting.tick(self.state)
        hosting.forget_silent(self.state)
        telling.tick(self.state)
        dormancy.tick(self.state)

    def end_pass(self) -> None:
        """Say to peers what was gathered, and what waited for room."""
        state = self.state
        dormancy.rest(state)
        if state.pledged:
            awaiting.flush(state)
        while state.mail.disturbed:
            hosting.stir(state, state.mail.disturbed.pop())
        for part in tuple(state.moving.values()):
            opening.move(state, part)
        if state.asks_due:
            asking.flush(state)
        for peer in state.peers.values():
            for channel in tuple(peer.greetings):
                self._greet(peer, channel)
            answering.flush(state, peer)
            if (peer.farewells or peer.anew) and peer.sessions:
                seating.flush(state, peer)

    # ---- the operator ----------------------------------------------------------------------------------

    def statistics(self) -> dict[str, Any]:
        """Numbers for the operator; cheap."""
        state = self.state
        oldest = min(
            (next(iter(line.kept.values())).at for lines in state.lines.values() for line in lines.values()),
            default=state.mail.now,
        )
        return {
            **attrs.asdict(state.counts),
            "kept_messages": state.kept,
            "kept_bytes": state.kept_bytes,
            "kept_oldest_ms": max(0, state.mail.now - oldest),
            "sessions": len(state.sessions),
            "sessions_remote": len(state.dormant) + sum(len(peer.remotes) for peer in state.peers.values()),
            "sessions_dormant": len(state.dormant),
            "sessions_to_announce": sum(len(part.announce) for part in state.moving.values()),
            "partitions_served": len(state.served),
            "partitions_waiting": len(state.waiting),
            "origins": len(state.origins),
            "asks_waiting": len(state.asks) + len(state.awaiting),
            "partitions_unpledged": sum(p in state.served for p in state.unpledged),
            "tells_waiting": len(state.mail.telling),
            "tells": state.mail.counts.tells,
            "tells_again": state.mail.counts.tells_again,
            "tells_put_off": state.mail.counts.tells_put_off,
            "retells_asked": state.mail.counts.retells_asked,
            "retells_waiting": len(state.mail.notes.found),
            "not_understood": {
                channel.rpartition(".")[2]: dict(one.counts)
                for channel, one in state.unknown.items()
                if one.counts
            },
        }

    def check(self) -> None:
        """Assert what must hold between any two events."""
        self.state.check()

    def _peer(self, node: bytes) -> Peer:
        peer = self.state.peers.get(node)
        if peer is None:
            peer = self.state.peers[node] = Peer(node)
        return peer
