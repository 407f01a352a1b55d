"""Frames after login. The hot path: each is taken to the mail core and answered by its effects."""

from typing import TYPE_CHECKING, Any

from node.mail import acking, numbering, receipts
from node.mail.acking import ACK_AHEAD_MAX
from node.session import Session
from node.wire import errors
from node.wire.codec import encode
from node.wire.verbs import BUSY, PING

if TYPE_CHECKING:
    from node.service import Service


def send(service: "Service", session: Session, frame: tuple[Any, ...]) -> None:
    """[10, recipient, stream, n, base, body]"""
    _, recipient, stream, n, base, body = frame
    if session.tokens < 1.0 and not _refill(service, session, recipient, stream, n):
        return
    session.tokens -= 1.0
    if stream != session.stream or base > n:
        _refuse(session, recipient, stream, n)
        return
    numbering.send(service.mail, session.user, recipient, stream, n, base, body)


def skip(service: "Service", session: Session, frame: tuple[Any, ...]) -> None:
    """[11, recipient, stream, n, base]"""
    _, recipient, stream, n, base = frame
    if session.tokens < 1.0 and not _refill(service, session, recipient, stream, n):
        return
    session.tokens -= 1.0
    if stream != session.stream or base > n:
        _refuse(session, recipient, stream, n)
        return
    numbering.skip(service.mail, session.user, recipient, stream, n, base)


def ack(service: "Service", session: Session, frame: tuple[Any, ...]) -> None:
    """[15, sender, stream, first, last]"""
    _, sender, stream, first, last = frame
    if not first <= last < first + ACK_AHEAD_MAX:
        session.refuse(errors.MALFORMED, f"an ack names 1 to {ACK_AHEAD_MAX} numbers, first before last")
        return
    if not acking.ack(service.mail, session.user, sender, stream, first, last):
        service.dropped += 1  # the client repeats what is not confirmed


def read(service: "Service", session: Session, frame: tuple[Any, ...]) -> None:
    """[16, sender, stream, upto]"""
    _, sender, stream, upto = frame
    if not acking.read(service.mail, session.user, sender, stream, upto):
        service.dropped += 1


def confirm(service: "Service", session: Session, frame: tuple[Any, ...]) -> None:
    """[18, recipient, stream, kind, first, last]"""
    _, recipient, stream, kind, first, last = frame
    if first > last:
        session.refuse(errors.MALFORMED, "a confirm names numbers, first before last")
        return
    receipts.confirm(service.mail, session.user, recipient, stream, kind, first, last)


def _refuse(session: Session, recipient: int, stream: bytes, n: int) -> None:
    if stream != session.stream:
        session.refuse(errors.STREAM_WRONG, about=(recipient, stream, n))
    else:
        session.refuse(errors.MALFORMED, "base is above n: it is the lowest number that is not accepted yet")


def _refill(service: "Service", session: Session, recipient: int, stream: bytes, n: int) -> bool:
    """Whether the device may send again; if not it is told when."""
    settings = service.mail.settings
    now = service.mail.now
    tokens = session.tokens + (now - session.refilled) * settings.send_rate / 1000
    session.refilled = now
    session.tokens = min(tokens, settings.send_burst)
    if session.tokens >= 1.0:
        return True
    service.rate_limited += 1
    retry_ms = max(1, int((1.0 - session.tokens) * 1000 / settings.send_rate))
    session.write(encode((BUSY, recipient, stream, n, retry_ms)))
    return False


def ping(service: "Service", session: Session, frame: tuple[Any, ...]) -> None:
    """[20, answer, token]"""
    _, answer, token = frame
    if not answer:
        session.write(encode((PING, True, token)))


def bye(service: "Service", session: Session, frame: tuple[Any, ...]) -> None:
    """[23, code, retry]"""
    session.close("bye")
