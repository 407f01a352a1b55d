"""Frames after login. The hot path: each is taken to the mail core and answered by its effects."""

from math import ceil
from typing import TYPE_CHECKING, Any

from node.mail import acking, numbering, receipts
from node.mail.acking import ACK_AHEAD_MAX
from node.session import Session
from node.wire import errors
from node.wire.codec import encode
from node.wire.limits import RETRY_MS_MAX
from node.wire.verbs import ACCEPTED, ONE_COPY, PING

if TYPE_CHECKING:
    from node.service import Service

PAUSE_SHARE = 8
"""Who sends too fast is told to come back when one part in so many of its burst may be sent again: with less, each
return would be worth a few messages and cost a frame for each that is still too early."""

ACK_MALFORMED = f"an ack names 1 to {ACK_AHEAD_MAX} numbers, first before last"
CONFIRM_MALFORMED = "a confirm names numbers, first before last"


def send(service: "Service", session: Session, frame: tuple[Any, ...]) -> None:
    """[10, recipient, stream, n, base, body]"""
    _, recipient, stream, n, base, body = frame
    if not _may_send(service, session, recipient, stream, n, base):
        return
    if _can_be_a_phone(service, session, recipient, stream):
        numbering.send(service.mail, session.user, recipient, stream, n, base, body)
    else:
        session.refuse(errors.BAD_NUMBER, about=(recipient, stream, n))


def skip(service: "Service", session: Session, frame: tuple[Any, ...]) -> None:
    """[11, recipient, stream, n, base]"""
    _, recipient, stream, n, base = frame
    if not _may_send(service, session, recipient, stream, n, base):
        return
    if _can_be_a_phone(service, session, recipient, stream):
        numbering.skip(service.mail, session.user, recipient, stream, n, base)
    else:
        # Giving up is what is left to do there. It holds without a word on disk: such a number never gets anything.
        session.write(encode((ACCEPTED, recipient, stream, n, n, ONE_COPY)))


def _can_be_a_phone(service: "Service", session: Session, recipient: int, stream: bytes) -> bool:
    """Whether the recipient is worth keeping anything for. One that mail is in the middle of isn't looked at again."""
    return (recipient, session.user, stream) in service.mail.pairs or service.numbers.passes(recipient)


def _may_send(service: "Service", session: Session, recipient: int, stream: bytes, n: int, base: int) -> bool:
    """Whether the frame is for the core to answer; if not it is answered here."""
    pause = pause_of(service, session)
    if pause:
        numbering.hold_off(service.mail, session.user, recipient, stream, n, pause)
        return False
    return is_sound(session, recipient, stream, n, base)


def pause_of(service: "Service", session: Session) -> int:
    """0, and the send is paid for; or after how long, in ms, its sender is to come back.

    The rate is kept by the time until which all that was sent is paid for: it may be ahead of now by a burst (the
    generic cell rate algorithm, ITU-T I.371, as a virtual scheduling time).
    """
    mail = service.mail
    settings = mail.settings
    paid, now = session.paid_until, mail.now
    cost = 1000 / settings.send_rate
    if paid < now:
        paid = now
    elif paid - now > (settings.send_burst - 1) * cost:
        service.rate_limited += 1
        pause = max(1, settings.send_burst // PAUSE_SHARE) * cost
        return min(max(1, ceil(pause)), RETRY_MS_MAX)
    session.paid_until = paid + cost
    return 0


def is_sound(session: Session, recipient: int, stream: bytes, n: int, base: int) -> bool:
    """Whether a send or skip makes sense; if not, its sender was told."""
    if stream != session.stream:
        session.refuse(errors.STREAM_WRONG, about=(recipient, stream, n))
        return False
    if base > n:
        session.refuse(errors.MALFORMED, "base is above n: it is the lowest number that is not accepted yet")
        return False
    return True


def ack(service: "Service", session: Session, frame: tuple[Any, ...]) -> None:
    """[15, sender, stream, first, last]"""
    _, sender, stream, first, last = frame
    if not first <= last < first + ACK_AHEAD_MAX:
        session.refuse(errors.MALFORMED, ACK_MALFORMED)
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
        session.refuse(errors.MALFORMED, CONFIRM_MALFORMED)
        return
    receipts.confirm(service.mail, session.user, recipient, stream, kind, first, last)


def ping(service: "Service", session: Session, frame: tuple[Any, ...]) -> None:
    """[20, answer, token]"""
    _, answer, token = frame
    if not answer:
        session.write(encode((PING, True, token)))


def bye(service: "Service", session: Session, frame: tuple[Any, ...]) -> None:
    """[23, code, retry]"""
    session.close("bye")
