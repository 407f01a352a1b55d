"""Frames before login: hello, pin, register, login. One request at a time: each is answered before the next."""

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

from node.accounts.outcomes import LoggedIn, Outcome, PinSent, Refused, Registered
from node.mail import presence
from node.session import ASKING, GREETED, Session
from node.wire import errors
from node.wire.codec import encode
from node.wire.limits import FRAME_MAX, NONCE_SIZE
from node.wire.negotiation import agree_features, agree_version
from node.wire.verbs import HELLO, PIN, REGISTER

if TYPE_CHECKING:
    from node.service import Service

FEATURES: tuple[str, ...] = ()
"""Features of the protocol that this node knows besides the version's."""


def hello(service: "Service", session: Session, frame: tuple[Any, ...]) -> None:
    """[1, lowest, highest, features, agent]"""
    _, lowest, highest, features, _agent = frame
    try:
        version = agree_version(lowest, highest)
    except errors.WireError as error:
        session.refuse(error.code, error.text)
        return
    session.nonce = secrets.token_bytes(NONCE_SIZE)
    session.phase = GREETED
    session.expect(service.settings.login_s, strict=True)
    agreed = agree_features(features, FEATURES)
    window = service.mail.settings.window
    session.write(encode((HELLO, version, agreed, session.nonce, FRAME_MAX, window, service.settings.agent)))


def pin(service: "Service", session: Session, frame: tuple[Any, ...]) -> None:
    """[2, user]"""
    session.phase = ASKING
    service.gate.request_pin(frame[1], session.address, lambda outcome: _answer(service, session, outcome))


def register(service: "Service", session: Session, frame: tuple[Any, ...]) -> None:
    """[3, user, pin, key, stream]"""
    _, user, digits, key, stream = frame
    session.phase = ASKING
    service.gate.register(
        user, digits, key, stream, session.address, lambda outcome: _answer(service, session, outcome)
    )


def login(service: "Service", session: Session, frame: tuple[Any, ...]) -> None:
    """[4, user, signature]"""
    _, user, signature = frame
    nonce, session.nonce = session.nonce, b""
    if not nonce:
        session.refuse(errors.UNEXPECTED, "the nonce of this connection is used up: connect again")
        return
    retry_ms = service.entrance.enter(
        session, partial(_log_in, service, session, user, nonce, signature), service.seconds()
    )
    if retry_ms:
        session.refuse(errors.OVERLOADED, "too many log in now", retry_ms=retry_ms)
    else:
        session.phase = ASKING


def _log_in(service: "Service", session: Session, user: int, nonce: bytes, signature: bytes) -> None:
    """Its turn has come, after the frames of this pass: what fails ends this connection only, as there."""
    under_way = service.entrance.under_way
    try:
        service.gate.login(
            user,
            nonce,
            session.certificate,
            signature,
            session.address,
            lambda outcome: _judged(service, session, outcome),
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends this connection only
        if service.entrance.under_way == under_way:  # it wasn't the answer that failed
            service.entrance.answered()
        session.hub.failed(session, error)


def _judged(service: "Service", session: Session, outcome: Outcome) -> None:
    """Whoever knows the account may be behind, or not be there: phones then come back in turns, not all together."""
    entrance = service.entrance
    entrance.answered()
    if isinstance(outcome, Refused) and outcome.code == errors.OVERLOADED:
        retry_ms = max(outcome.retry_ms, entrance.book(service.seconds()))
        outcome = Refused(outcome.code, outcome.text, retry_ms)
    _answer(service, session, outcome)


def _answer(service: "Service", session: Session, outcome: Outcome) -> None:
    if isinstance(outcome, Registered):
        presence.registered(service.mail, outcome.user)
    if session.is_closing or session.fd < 0:
        return
    session.phase = GREETED
    if isinstance(outcome, PinSent):
        session.write(encode((PIN, outcome.user, outcome.retry_ms, outcome.valid_ms)))
    elif isinstance(outcome, Registered):
        session.write(encode((REGISTER, outcome.user, outcome.generation)))
    elif isinstance(outcome, LoggedIn):
        service.begin(session, outcome)
    else:
        assert isinstance(outcome, Refused)
        session.refuse(outcome.code, outcome.text, retry_ms=outcome.retry_ms)
