"""What of a replica is durable: rows of the table `replica`, in the environment of the group itself, so that
they change in one transaction with the records that they speak of.

    ("claim", p)          → Claim.row()
    ("copy", p)           → [copy, the epoch under which it was complete last], and whether
                            there may be something here that its primary lacks, and whether
                            it lacks only what was kept in memory; left out if neither is so
    ("pledge", p)         → [[epoch, primary] or [] of the claim to which it is pledged, and what its primary said,
                            and what the copy has: `core.pledging`; the heir of that claim; [[epoch, primary], …]];
                            left out if nothing was given out
    ("stream", peer)      → [incarnation, upto]                 the cursors of the lanes
    ("echo", peer)        → [incarnation, upto]
    ("lanes", peer)       → [[p, …] in the stream, [p, …] in the echo, [[p, incarnation, sequence, head], …] the others]

A cursor of the others rests upon `head`, which is the sequence itself where it rests on nothing beyond.
"""

from collections.abc import Iterable
from typing import Any

from replication.claim import Claim
from replication.core.knowledge import Knowledge
from replication.core.pledges import Pledge
from replication.core.state import LIVE, NONE, VOID, Partition, Peer, ReplicaState

Row = tuple[tuple[Any, ...], Any]
"""(key, value or None)"""


def of_part(part: Partition) -> list[Row]:
    """Claim and copy of a partition."""
    flags = [part.owing, True] if part.thin else [True] if part.owing else []
    rows: list[Row] = [(("copy", part.number), [part.copy, part.asof, *flags])]
    if part.claim is not None:
        rows.append((("claim", part.number), part.claim.row()))
    if part.pledge is not None:
        rows.append((("pledge", part.number), _of_pledge(part.pledge)))
    return rows


def _of_pledge(pledge: Pledge) -> list[Any]:
    ranks = (pledge.last, pledge.said, pledge.covers)
    return [*(list(rank or ()) for rank in ranks), pledge.heir, [list(rank) for rank in pledge.has]]


def _pledge(row: list[Any]) -> Pledge:
    pledge = Pledge()
    pledge.last, pledge.said, pledge.covers = ((one[0], one[1]) if one else None for one in row[:3])
    pledge.heir = row[3]
    pledge.learn((one[0], one[1]) for one in row[4])
    return pledge


def of_stream(peer: bytes, incarnation: int, upto: int) -> Row:
    """How far the peer's stream was taken in."""
    return (("stream", peer), [incarnation, upto])


def of_known(peer: bytes, known: Knowledge) -> list[Row]:
    """Everything that is known of a peer's changes."""
    stream, echo = known.stream, known.echo
    others = [[p, *known.place(p)] for p in sorted(known.others)]
    return [
        of_stream(peer, stream.incarnation, stream.upto),
        (("echo", peer), [echo.incarnation, echo.upto]),
        (("lanes", peer), [sorted(stream.members), sorted(echo.members), others]),
    ]


def restore(state: ReplicaState, rows: Iterable[Row]) -> None:
    """Take over what a former life has left.

    A copy that was being emptied, of a partition whose claim isn't here, is only one that isn't complete: nobody says
    by now what it missed. What may be owed to a primary is offered again. Members that are no longer are passed over,
    and so are partitions beyond the number that there is.
    """
    for key, value in rows:
        kind = key[0]
        if kind in ("claim", "copy", "pledge"):
            if key[1] >= len(state.parts):
                continue
            part = state.parts[key[1]]
            if kind == "pledge":
                part.pledge = _pledge(value)
            elif kind == "claim":
                part.claim = Claim.from_row(value)
            else:
                part.copy, part.asof = value[:2]
                part.owing = any(value[2:3])
                part.thin = any(value[3:4])
            continue
        peer = state.peers.get(key[1])
        if peer is None:
            continue  # no member any more
        _restore_known(peer, kind, value)
    for part in state.parts:
        if part.copy not in (NONE, LIVE) and part.claim is None:
            part.copy = NONE
        part.thin = part.thin and part.copy == NONE and part.claim is not None
        # Who changed it is not remembered: everything that is here may be news to anybody.
        part.touched = {state.me: state.sequence} if state.sequence else {}
        primary = part.claim.primary if part.claim is not None else None
        if part.owing and part.copy != VOID and primary in state.peers:
            state.peers[primary].offers[part.number] = state.sequence


def forget(state: ReplicaState) -> None:
    """Records that were kept in memory only went with the former life: no copy is complete, and everything is to be
    asked for again. A copy that was complete has all of what is on disc: that is remembered, for such a one may be
    served if nobody has a better one, and one that was being filled may not."""
    state.forgetful = True
    for part in state.parts:
        if part.copy == LIVE:
            part.copy = NONE
            part.thin = part.claim is not None
            state.unsaved.add(part.number)
    for peer in state.peers.values():
        peer.known = Knowledge()
        peer.known.reshaped = True


def _restore_known(peer: Peer, kind: str, value: Any) -> None:
    known = peer.known
    if kind == "stream":
        known.stream.incarnation, known.stream.upto = value
    elif kind == "echo":
        known.echo.incarnation, known.echo.upto = value
    elif kind == "lanes":
        known.stream.members, known.echo.members = frozenset(value[0]), frozenset(value[1])
        known.others = {p: (incarnation, sequence) for p, incarnation, sequence, _ in value[2]}
        known.upon = {p: head for p, _, sequence, head in value[2] if head > sequence}
