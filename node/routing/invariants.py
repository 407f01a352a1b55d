"""What must hold of the router's state between any two events. For tests and simulations: it looks at everything."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.routing.state import Part, RoutingState


def check(state: "RoutingState") -> None:
    """Raise AssertionError, naming what is wrong."""
    me = state.ways.me
    for part in state.parts:
        _check_part(state, part)
    assert state.kept == sum(part.count for part in state.parts)
    assert state.kept_bytes == sum(part.bytes for part in state.parts)
    settings = state.settings
    assert state.kept <= settings.kept_messages_max
    assert state.kept_bytes <= settings.kept_bytes_max
    assert len(state.origins) <= settings.origins_max
    assert len(state.asks) <= settings.asks_max
    by_part = {key: line for part in state.parts for key, line in part.lines.items()}
    by_ticket = {(ticket, to): line for ticket, lines in state.lines.items() for to, line in lines.items()}
    assert by_part == by_ticket, "lines are known by one index only"
    for ticket, lines in state.lines.items():
        assert lines, f"no line of {ticket}, and kept"
        assert ticket in state.tickets, f"something is kept for a session that is gone: {ticket}"
    for ticket, back in state.back.items():
        assert 0 < len(back) <= settings.told_max, f"of {ticket}: {back}"
        assert ticket in state.tickets, f"a session that is gone is to come back: {ticket}"
    for user, session in state.sessions.items():
        assert session.user == user
        assert state.tickets.get(session.ticket) is session, f"{session} has no ticket"
        assert session in state.parts[state.ways.partition_of(user)].sessions
    assert len(state.tickets) == len(state.sessions) == sum(len(part.sessions) for part in state.parts)
    _check_remotes(state)
    for peer in state.peers.values():
        assert peer.node != me
        assert peer.opened <= state.served, f"opened and not served: {peer.opened - state.served}"
        assert not (peer.opened & peer.notices.keys()), "opened, and to be told something else"


def _check_remotes(state: "RoutingState") -> None:
    mail = state.mail
    in_mail = mail.sessions
    state.dormant.check()
    for p, row in state.dormant:
        user = row.user
        assert p == state.ways.partition_of(user)
        assert p in state.served, f"{row} of a partition that isn't served"
        assert row.ticket not in state.peers[row.edge].remotes, f"{row}, and an object"
        assert user not in in_mail, f"{row}, and {in_mail.get(user)}"
        assert user not in state.coming, f"{row}, and {state.coming.get(user)}"
        busy = user in mail.boxes or user in mail.arriving or user in mail.owed_scans
        assert not busy, f"{row}, and mail has to do with it"
        assert not any(owed.counted for owed in mail.owed.get(user, {}).values()), (
            f"{row} was told of receipts"
        )
    known = {remote.user: remote for peer in state.peers.values() for remote in peer.remotes.values()}
    for user, remote in known.items():
        assert remote.part in state.served, f"{remote} of a partition that isn't served"
        assert remote.peer.remotes.get(remote.ticket) is remote, f"{remote}, and another one"
        assert remote in (in_mail.get(user), state.coming.get(user)), f"{remote} is known by its ticket only"
    for user, remote in state.coming.items():
        assert known.get(user) is remote, f"{remote} isn't known by its ticket"
    for user, handle in in_mail.items():
        assert handle is state.sessions.get(user) or handle is known.get(user), f"mail alone knows {handle}"


def _check_part(state: "RoutingState", part: "Part") -> None:
    kept = [one for line in part.lines.values() for one in line.kept.values()]
    assert part.count == len(kept), part
    assert part.bytes == sum(len(one.body or b"") for one in kept), part
    for line in part.lines.values():
        assert line.kept, f"an empty line of {part}"
        assert line.part is part
        for n, one in line.kept.items():
            assert one.line is line
            assert one.n == n
    needed = bool(part.lines or part.sessions)
    if part.open:
        assert part.target is not None
        assert part.number not in state.waiting, part
        assert not part.since, part
        waiting = {id(one) for one in part.unsent or ()}
        for one in kept:
            assert one.sent or id(one) in waiting, f"{one} is never sent: {part}"
        if part.target == state.ways.me:
            assert part.number in state.served, f"open here and not served: {part}"
    else:
        assert not part.unsent, part
        assert not part.announce, part
        assert not needed or part.number in state.waiting, f"needed, and nobody tries to open it: {part}"
    if part.unsent or part.announce:
        assert part.number in state.moving, f"nobody moves what waits: {part}"
