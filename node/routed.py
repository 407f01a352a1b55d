"""Frames after login on a node of a cluster: as `talk`, but what they say goes to the primary of whom it concerns."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from node import talk
from node.mail.acking import ACK_AHEAD_MAX
from node.session import Session
from node.wire import errors
from node.wire.codec import encode
from node.wire.verbs import ACCEPTED, ACK, BYE, CONFIRM, ONE_COPY, PING, READ, SEND, SKIP

if TYPE_CHECKING:
    from node.memberservice import MemberService


def send(service: "MemberService", session: Session, frame: tuple[Any, ...]) -> None:
    """[10, recipient, stream, n, base, body]"""
    _, recipient, stream, n, base, body = frame
    if not _may_send(service, session, recipient, stream, n, base):
        return
    if _can_be_a_phone(service, session, recipient):
        service.router.send(session, recipient, n, base, body)
    else:
        session.refuse(errors.BAD_NUMBER, about=(recipient, stream, n))


def skip(service: "MemberService", session: Session, frame: tuple[Any, ...]) -> None:
    """[11, recipient, stream, n, base]"""
    _, recipient, stream, n, base = frame
    if not _may_send(service, session, recipient, stream, n, base):
        return
    if _can_be_a_phone(service, session, recipient):
        service.router.send(session, recipient, n, base, None)
    else:
        session.write(encode((ACCEPTED, recipient, stream, n, n, ONE_COPY)))


def _can_be_a_phone(service: "MemberService", session: Session, recipient: int) -> bool:
    return service.router.is_talking_to(session, recipient) or service.numbers.passes(recipient)


def _may_send(
    service: "MemberService", session: Session, recipient: int, stream: bytes, n: int, base: int
) -> bool:
    pause = talk.pause_of(service, session)
    if pause:
        service.router.hold_off(session, recipient, n, pause)
        return False
    return talk.is_sound(session, recipient, stream, n, base)


def ack(service: "MemberService", session: Session, frame: tuple[Any, ...]) -> None:
    """[15, sender, stream, first, last]"""
    _, sender, stream, first, last = frame
    if first <= last < first + ACK_AHEAD_MAX:
        service.router.ack(session, sender, stream, first, last)
    else:
        session.refuse(errors.MALFORMED, talk.ACK_MALFORMED)


def read(service: "MemberService", session: Session, frame: tuple[Any, ...]) -> None:
    """[16, sender, stream, upto]"""
    _, sender, stream, upto = frame
    service.router.read(session, sender, stream, upto)


def confirm(service: "MemberService", session: Session, frame: tuple[Any, ...]) -> None:
    """[18, recipient, stream, kind, first, last]"""
    _, recipient, stream, kind, first, last = frame
    if first > last:
        session.refuse(errors.MALFORMED, talk.CONFIRM_MALFORMED)
    else:
        service.router.confirm(session, recipient, stream, kind, first, last)


TALK: Mapping[int, Any] = MappingProxyType(
    {
        SEND: send,
        ACK: ack,
        SKIP: skip,
        READ: read,
        CONFIRM: confirm,
        PING: talk.ping,
        BYE: talk.bye,
    }
)
