import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from node.accounts import login
from node.accounts.login import judge
from node.accounts.outcomes import LoggedIn, Refused
from node.accounts.records import Account
from node.wire import errors
from node.wire.login import login_message

USER = 15551230001
DEVICE = Ed25519PrivateKey.from_private_bytes(b"d" * 32)
ACCOUNT = Account(DEVICE.public_key().public_bytes_raw(), b"s" * 8, generation=2, since=0)
NONCE, CERTIFICATE = b"n" * 32, b"c" * 32
SIGNATURE = DEVICE.sign(login_message(USER, NONCE, CERTIFICATE))


def test_the_present_device_logs_in() -> None:
    assert judge(ACCOUNT, USER, NONCE, CERTIFICATE, SIGNATURE) == LoggedIn(USER, b"s" * 8, 2)


def test_unknown_number_and_wrong_signature_get_the_same_answer_after_the_same_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verified: list[tuple[int, int]] = []

    def counting(key: bytes, signature: bytes, message: bytes) -> bool:
        verified.append((len(key), len(message)))
        return False

    monkeypatch.setattr(login, "verify", counting)
    answers = {judge(account, USER, NONCE, CERTIFICATE, SIGNATURE) for account in (ACCOUNT, None)}
    assert len(answers) == 1
    assert verified[0] == verified[1]
    assert len(verified) == 2


@given(
    st.sampled_from(["user", "nonce", "certificate", "signature"]), st.integers(0, 31), st.integers(1, 255)
)
def test_a_signature_is_for_one_number_one_connection_and_one_server(what: str, at: int, flip: int) -> None:
    def other(data: bytes) -> bytes:
        return data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]

    outcome = judge(
        ACCOUNT,
        USER + flip if what == "user" else USER,
        other(NONCE) if what == "nonce" else NONCE,
        other(CERTIFICATE) if what == "certificate" else CERTIFICATE,
        other(SIGNATURE) if what == "signature" else SIGNATURE,
    )
    assert isinstance(outcome, Refused)
    assert outcome.code == errors.UNAUTHORISED


def test_a_signature_for_tls_does_not_log_in_on_plain_tcp() -> None:
    assert isinstance(judge(ACCOUNT, USER, NONCE, b"", SIGNATURE), Refused)


def test_whoever_signs_wrongly_does_not_learn_of_a_block_or_a_wipe() -> None:
    blocked = ACCOUNT.with_block(True)
    wiping = Account(ACCOUNT.key, ACCOUNT.stream, 2, 0, wiping=(b"o" * 8,))
    for account, told in ((blocked, errors.BLOCKED), (wiping, errors.OVERLOADED)):
        right = judge(account, USER, NONCE, CERTIFICATE, SIGNATURE)
        assert isinstance(right, Refused)
        assert right.code == told
        wrong = judge(account, USER, NONCE, CERTIFICATE, bytes(64))
        assert wrong == judge(None, USER, NONCE, CERTIFICATE, SIGNATURE)


def test_the_stand_in_key_logs_nobody_in() -> None:
    known_secret = Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex(
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
        )  # RFC 8032, 7.1, test 2
    )
    assert known_secret.public_key().public_bytes_raw() == login.STAND_IN_KEY
    signature = known_secret.sign(login_message(USER, NONCE, CERTIFICATE))
    assert isinstance(judge(None, USER, NONCE, CERTIFICATE, signature), Refused)
