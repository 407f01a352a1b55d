"""The registry of error codes, and what both sides agree on before there is mail."""

import hashlib

import pytest

from node.wire import errors
from node.wire.codec import check_server
from node.wire.errors import CODES, REGISTRY, UNSUPPORTED_VERSION, WireError
from node.wire.limits import CODE_MAX, TEXT_MAX, USER_MAX
from node.wire.login import login_message
from node.wire.negotiation import VERSION_HIGHEST, VERSION_LOWEST, agree_features, agree_version


def test_every_code_is_a_constant_and_says_cause_and_remedy() -> None:
    for code in CODES:
        assert getattr(errors, code.name.upper()) == code.number
        assert 1 <= code.number <= CODE_MAX
        assert code.text
        assert code.remedy
        check_server((24, code.number, code.text, 0, None))
    constants = {name for name in vars(errors) if name.isupper() and type(getattr(errors, name)) is int}
    assert constants == {code.name.upper() for code in CODES}


def test_the_registry_leads_from_numbers_to_codes_and_cannot_be_changed() -> None:
    assert REGISTRY[errors.MAILBOX_FULL].name == "mailbox_full"
    with pytest.raises(TypeError):
        REGISTRY[1] = CODES[0]  # type: ignore[index]


def test_what_needs_a_retry_time_says_so() -> None:
    assert {code.name for code in CODES if code.retry} == {
        "pin_limit", "rate_limited", "mailbox_full", "too_many_connections", "shutting_down", "overloaded",
    }  # fmt: skip


def test_a_wire_error_carries_its_code_and_says_what_to_do() -> None:
    error = WireError(errors.MALFORMED, "send: n must be 1..9")
    assert (error.code, error.text) == (errors.MALFORMED, "send: n must be 1..9")
    assert str(error).startswith("malformed: send: n must be 1..9 (mend the client")


def test_every_text_of_a_refusal_fits_in_an_error_frame() -> None:
    import ast

    from node.wire.compiler import GENERATED

    calls = [
        node
        for node in ast.walk(ast.parse(GENERATED.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "bad"
    ]
    assert len(calls) > 200
    for call in calls:
        (text,) = call.args
        assert isinstance(text, ast.Constant)
        assert isinstance(text.value, str)
        assert len(text.value.encode()) <= TEXT_MAX


@pytest.mark.parametrize(
    ("lowest", "highest", "agreed"),
    [
        (VERSION_LOWEST, VERSION_HIGHEST, VERSION_HIGHEST),
        (1, 255, VERSION_HIGHEST),
        (VERSION_HIGHEST, 200, VERSION_HIGHEST),
    ],
)
def test_the_highest_shared_version_is_agreed_on(lowest: int, highest: int, agreed: int) -> None:
    assert agree_version(lowest, highest) == agreed


@pytest.mark.parametrize(("lowest", "highest"), [(VERSION_HIGHEST + 1, 255), (2, 1)])
def test_without_a_shared_version_the_error_says_what_is_spoken(lowest: int, highest: int) -> None:
    with pytest.raises(WireError, match=f"versions {VERSION_LOWEST} to {VERSION_HIGHEST}") as caught:
        agree_version(lowest, highest)
    assert caught.value.code == UNSUPPORTED_VERSION


def test_features_are_those_that_both_know_in_the_order_of_the_offer() -> None:
    assert agree_features(("c", "a", "x", "a"), {"a", "b", "c"}) == ("c", "a")
    assert agree_features((), {"a"}) == ()
    assert agree_features(("a",), ()) == ()


def test_the_login_message_is_bound_to_user_connection_and_certificate() -> None:
    nonce, certificate = bytes(range(32)), hashlib.sha256(b"certificate").digest()
    message = login_message(15551230001, nonce, certificate)
    assert message == (
        b"waystation login 1\x00" + bytes.fromhex("000000039eecf031") + nonce + b"\x20" + certificate
    )
    others = [
        login_message(15551230002, nonce, certificate),
        login_message(15551230001, nonce[::-1], certificate),
        login_message(15551230001, nonce, certificate[::-1]),
        login_message(15551230001, nonce, b""),
    ]
    assert len({message, *others}) == 5


@pytest.mark.parametrize(
    ("user", "nonce", "certificate"),
    [
        (0, bytes(32), b""),
        (USER_MAX + 1, bytes(32), b""),
        (1, bytes(31), b""),
        (1, bytes(33), b""),
        (1, bytes(32), bytes(31)),
        (1, bytes(32), b"\x00"),
    ],
)
def test_a_login_message_of_wrong_sizes_is_the_callers_mistake(
    user: int, nonce: bytes, certificate: bytes
) -> None:
    with pytest.raises(ValueError, match="must be"):
        login_message(user, nonce, certificate)
