"""From nothing to logged in, and every way it can go wrong; frame by frame, without a socket."""

from random import Random

import attrs
import pytest

from client.core import Core
from client.errors import AlreadyRegistered, OtherNumber, PinNotRequested, RequestPending
from client.events import Close, Event, Moved, Online, PinSent, Registered, RequestFailed, Stopped
from client.identity import Identity
from client.login import Phase
from client.records import Snapshot
from client.settings import Settings
from node.wire import errors, verbs
from tests.client.fake_node import FakeNode
from tests.client.phone import MemoryStore, Phone

USER = 1001
DEVICE = Identity(USER, b"k" * 32, b"streams!")


def told(phone: Phone, kind: type[Event]) -> list[Event]:
    return [event for event in phone.events if isinstance(event, kind)]


@pytest.fixture
def phone() -> Phone:
    return Phone(USER, FakeNode(), MemoryStore())


def ask_pin(phone: Phone, device: Identity = DEVICE, *, anew: bool = False) -> None:
    phone.core.request_pin(phone.now, device, anew=anew)
    phone.settle()


def enter_pin(phone: Phone, pin: str | None = None) -> None:
    phone.core.register(phone.now, pin or phone.node.pins[USER])
    phone.settle()


def test_a_pin_then_a_registration_then_a_login_on_the_same_connection(phone: Phone) -> None:
    ask_pin(phone)
    assert told(phone, PinSent) == [PinSent(60.0, 600.0)]
    assert phone.link is None  # nobody waits on an open connection for a person to read a text message
    enter_pin(phone)
    assert told(phone, Registered) == [Registered(USER)]
    assert told(phone, Online) == [Online(0)]
    assert phone.core.login.phase is Phase.ONLINE
    assert phone.core.login.identity == attrs.evolve(DEVICE, generation=1)


def test_the_key_is_durable_before_it_is_registered(phone: Phone) -> None:
    ask_pin(phone)
    phone.core.register(phone.now, phone.node.pins[USER])
    phone.step(stop_before="frames")
    assert phone.core.login.candidate == attrs.evolve(DEVICE, attempted=True)


def test_a_wrong_pin_is_told_and_another_may_be_tried(phone: Phone) -> None:
    ask_pin(phone)
    enter_pin(phone, "000000")
    assert told(phone, RequestFailed) == [RequestFailed(errors.PIN_REFUSED, 0.0)]
    ask_pin(phone)
    enter_pin(phone)
    assert told(phone, Online)


@pytest.mark.parametrize("crash", [False, True])
def test_a_registration_whose_answer_is_lost_is_found_out_by_logging_in(phone: Phone, crash: bool) -> None:
    ask_pin(phone)
    pin = phone.node.pins[USER]
    phone.node.drop_after = {verbs.REGISTER}
    phone.core.register(phone.now, pin)
    phone.step()
    phone.connect()
    while phone.node.drop_after:
        phone.write_one()
        phone.read_one()
    if crash:
        phone.crash()
        assert phone.core.login.identity is None
        enter_pin(phone, pin)
    phone.settle()
    assert told(phone, Registered) == [Registered(USER)]
    assert told(phone, RequestFailed) == []
    assert phone.core.login.phase is Phase.ONLINE
    assert phone.store.load().identity == ((("current",), (USER, b"k" * 32, b"streams!", 0, 0)),)


def test_who_asks_for_another_pin_after_a_lost_answer_finds_out_by_logging_in(phone: Phone) -> None:
    """The device is registered: its stream isn't fresh any more."""
    ask_pin(phone)
    phone.node.drop_after = {verbs.REGISTER}
    phone.core.register(phone.now, phone.node.pins[USER])
    phone.step()
    phone.connect()
    while phone.node.drop_after:
        phone.write_one()
        phone.read_one()
    phone.crash()
    ask_pin(phone)
    enter_pin(phone)
    assert told(phone, RequestFailed) == []
    assert told(phone, Registered) == [Registered(USER)]
    assert phone.core.login.phase is Phase.ONLINE


def test_a_stream_that_was_never_registered_and_is_known_is_refused(phone: Phone) -> None:
    ask_pin(phone)
    phone.node.limits[verbs.REGISTER] = errors.STREAM_REUSED
    enter_pin(phone)
    assert told(phone, RequestFailed) == [RequestFailed(errors.STREAM_REUSED, 0.0)]


def test_a_pin_that_was_wrong_after_a_lost_answer_is_refused_in_the_end(phone: Phone) -> None:
    ask_pin(phone)
    phone.core.register(phone.now, "000000")
    phone.step()
    phone.connect()
    while not any(frame[0] == verbs.REGISTER for frame in phone.up):
        phone.write_one()
        phone.read_one()
    phone.disconnect()  # the frame never arrived; the client can't know
    phone.settle()
    assert told(phone, RequestFailed) == [RequestFailed(errors.PIN_REFUSED, 0.0)]
    assert phone.core.login.candidate == DEVICE
    ask_pin(phone)
    enter_pin(phone)
    assert told(phone, Online)


@pytest.mark.parametrize(
    ("verb", "code"),
    [
        (verbs.PIN, errors.PIN_LIMIT),
        (verbs.PIN, errors.BAD_NUMBER),
        (verbs.PIN, errors.OVERLOADED),
        (verbs.REGISTER, errors.REGISTRATION_CLOSED),
        (verbs.REGISTER, errors.PIN_LIMIT),
        (verbs.REGISTER, errors.BLOCKED),
        (verbs.HELLO, errors.UNSUPPORTED_VERSION),
    ],
)
def test_a_refused_request_is_told_with_its_code(phone: Phone, verb: int, code: int) -> None:
    if verb == verbs.REGISTER:
        ask_pin(phone)
    phone.node.limits[verb] = code
    if verb == verbs.REGISTER:
        enter_pin(phone)
    else:
        ask_pin(phone)
    retry = 5.0 if errors.REGISTRY[code].retry else 0.0
    assert told(phone, RequestFailed) == [RequestFailed(code, retry)]
    assert phone.link is None
    assert not phone.core.login.wants_connection


@pytest.mark.parametrize("code", [errors.SHUTTING_DOWN, errors.INTERNAL, errors.TIMEOUT, errors.OVERLOADED])
def test_a_passing_trouble_at_login_is_waited_out(phone: Phone, code: int) -> None:
    phone.register()
    phone.node.limits[verbs.LOGIN] = code
    phone.disconnect()
    phone.events.clear()
    phone.settle()
    (close,) = told(phone, Close)
    assert close == Close(errors.REGISTRY[code].name, 5.0 if errors.REGISTRY[code].retry else 0.0)
    assert told(phone, Stopped) == []
    assert phone.core.login.phase is Phase.ONLINE


@pytest.mark.parametrize(
    "code", [errors.UNAUTHORISED, errors.SUPERSEDED, errors.BLOCKED, errors.UNSUPPORTED_VERSION]
)
def test_a_final_refusal_stops_everything_until_the_app_acts(phone: Phone, code: int) -> None:
    phone.register()
    phone.node.limits[verbs.LOGIN] = code
    phone.disconnect()
    phone.settle()
    assert told(phone, Stopped) == [Stopped(code)]
    assert not phone.core.login.wants_connection
    phone.core.login.reconnect()
    phone.settle()
    assert phone.core.login.phase is Phase.ONLINE


def test_a_silent_server_is_given_up(phone: Phone) -> None:
    phone.register()
    phone.disconnect()
    phone.connect()
    assert phone.core.deadline() == phone.settings.answer_timeout
    phone.advance(phone.settings.answer_timeout)
    assert told(phone, Close)[-1] == Close("no answer while greeting")
    assert phone.link is None


def test_a_silent_connection_is_pinged_then_given_up(phone: Phone) -> None:
    phone.register()
    phone.advance(phone.settings.ping_after)
    assert phone.up == [(verbs.PING, False, 1)]
    phone.settle()  # it is answered
    assert phone.core.login.phase is Phase.ONLINE
    phone.advance(10_000.0)  # the machine slept: first it asks
    assert phone.link is not None
    phone.advance(phone.settings.ping_timeout)
    assert told(phone, Close)[-1] == Close("the server is silent")
    assert phone.link is None


def test_a_ping_is_answered(phone: Phone) -> None:
    phone.register()
    assert phone.link is not None
    phone.link.out.append((verbs.PING, False, 77))
    phone.read_one()
    assert phone.up == [(verbs.PING, True, 77)]


def test_bye_is_obeyed(phone: Phone) -> None:
    phone.register()
    assert phone.link is not None
    phone.link.out.append((verbs.BYE, 0, 7_000))
    phone.read_one()
    assert told(phone, Close)[-1] == Close("the server said goodbye", 7.0)


@pytest.mark.parametrize(
    "frame",
    [
        (verbs.ACCEPTED, 1, b"streams!", 1, 1, 1),
        (verbs.DELIVER, 1, b"streams!", 1, 0, 0, b""),
        (verbs.LOGIN, 0, 1, 0),
        (verbs.PIN, 1, 0, 0),
        (verbs.REGISTER, 1, 1),
    ],
)
def test_a_frame_before_its_time_closes(phone: Phone, frame: tuple[object, ...]) -> None:
    phone.register()
    phone.disconnect()
    phone.connect()
    assert phone.link is not None
    phone.link.out.append(frame)
    phone.read_one()
    assert told(phone, Close)
    assert phone.link is None


def test_the_unknown_is_ignored_when_online(phone: Phone) -> None:
    phone.register()
    assert phone.link is not None
    before = phone.store.load()
    for frame in (
        (verbs.ERROR, 999, "from the future", 0, None),
        (verbs.ERROR, errors.RATE_LIMITED, "", 1000, None),
        (verbs.CONFIRM, 5, b"streams!", 1, 1, 9),
        (verbs.RECEIPT, 5, b"streams!", 1, 1, 9),
    ):
        phone.link.out.append(frame)
        phone.read_one()
    assert phone.core.login.phase is Phase.ONLINE
    assert phone.store.load() == before
    assert phone.core.ignored == 2


def test_where_mail_is_served_is_told_when_online_only(phone: Phone) -> None:
    phone.register()
    assert phone.link is not None
    phone.link.out.append((verbs.MOVED, "elsewhere", 7443))
    phone.read_one()
    assert told(phone, Moved) == [Moved("elsewhere", 7443)]
    assert phone.core.login.phase is Phase.ONLINE


def test_one_request_at_a_time_and_one_number_in_a_state(phone: Phone) -> None:
    with pytest.raises(PinNotRequested):
        phone.core.register(0.0, "123456")
    phone.core.request_pin(0.0, DEVICE)
    with pytest.raises(RequestPending):
        phone.core.request_pin(0.0, DEVICE)
    phone.settle()
    enter_pin(phone)
    with pytest.raises(AlreadyRegistered):
        phone.core.request_pin(0.0, DEVICE)
    with pytest.raises(AlreadyRegistered):
        phone.core.register(0.0, "123456")
    with pytest.raises(OtherNumber):
        phone.core.request_pin(0.0, Identity(77, b"k" * 32, b"streams!"), anew=True)


def test_registering_anew_makes_a_new_stream(phone: Phone) -> None:
    ask_pin(phone)
    enter_pin(phone)
    other = Identity(USER, b"o" * 32, b"another!")
    ask_pin(phone, other, anew=True)
    enter_pin(phone)
    assert phone.core.login.identity == attrs.evolve(other, generation=2)
    assert phone.core.sending.stream == b"another!"
    assert phone.core.login.phase is Phase.ONLINE


def test_a_cancelled_request_is_not_made_on_the_next_connection(phone: Phone) -> None:
    phone.core.request_pin(0.0, DEVICE)
    phone.step()
    phone.connect()
    phone.core.login.cancel_request()
    phone.settle()
    assert phone.node.pins == {}
    assert not phone.core.login.wants_connection


def test_nothing_secret_is_shown() -> None:
    core = Core(Snapshot(), Settings(), Random(1))
    core.request_pin(0.0, DEVICE)
    ready = core.ready(0.0)
    assert "kkkk" not in repr(DEVICE) + repr(ready)
    core.login.cancel_request()
    core.register(0.0, "135790")
    assert "135790" not in repr(core.login._request)
