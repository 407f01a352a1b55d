"""The webhook against a real HTTP server on this machine, in a thread."""

import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from random import Random

import attrs
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from node.accounts.errors import GatewayFailed, SecretRefused
from node.accounts.gateway import Delivery
from node.accounts.gateways import read_secret
from node.accounts.settings import WebhookSettings
from node.accounts.webhook import WebhookGateway

SECRET = b"an-example-secret-of-forty-characters-00"
MakeDelivery = Callable[..., Delivery]


@attrs.frozen
class Answer:
    status: int
    headers: dict[str, str] = attrs.Factory(dict)
    body: bytes = b"{}"
    hold: threading.Event | None = None


@attrs.frozen
class Posted:
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Receiver(ThreadingHTTPServer):
    """Answers what it was told to, in that order, and the last one from then on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Answer] = [Answer(200)]
        self.posted: list[Posted] = []
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}/pin"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gives up on a held answer is no error of the receiver's."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append(Posted(self.path, dict(self.headers), body, self.client_address[1]))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer.hold is not None:
            answer.hold.wait(30)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Quiet."""


@contextmanager
def serving(receiver: Receiver) -> Iterator[Receiver]:
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with serving(Receiver()) as receiver:
        yield receiver


@attrs.define
class Pauses:
    """Sleeps that are written down instead; the clock goes on."""

    clock: Callable[[], int]
    taken: list[float] = attrs.Factory(list)

    async def __call__(self, seconds: float) -> None:
        await trio.lowlevel.checkpoint()
        self.taken.append(seconds)
        self.clock.now += round(seconds * 1000)  # type: ignore[attr-defined]


def gateway_to(url: str, clock: Callable[[], int], **options: object) -> tuple[WebhookGateway, Pauses]:
    pauses = Pauses(clock)
    settings = WebhookSettings(url=url, secret_file="given below", **options)  # type: ignore[arg-type]
    return WebhookGateway(settings, SECRET, clock=clock, random=Random(1), sleep=pauses), pauses


def verified_by_the_documented_sample(body: bytes, header: str, secret: bytes, now_s: int) -> bool:
    """As docs/registration.md tells receivers to do it."""
    parts = dict(part.split("=", 1) for part in header.split(","))
    expected = hmac.new(secret, parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, parts["v1"]) and abs(now_s - int(parts["t"])) <= 300


async def test_the_receiver_gets_a_signed_pin(
    receiver: Receiver, clock: Callable[[], int], make_delivery: MakeDelivery
) -> None:
    gateway, _ = gateway_to(receiver.url, clock)
    async with gateway:
        await gateway.deliver(make_delivery())
    (posted,) = receiver.posted
    assert json.loads(posted.body) == {
        "type": "pin",
        "id": "id-15551230001",
        "to": "+15551230001",
        "pin": "314159",
        "text": "Your PIN is 314159",
        "valid_s": 600,
    }
    assert posted.headers["Content-Type"] == "application/json"
    header = posted.headers["Waystation-Signature"]
    now_s = clock() // 1000
    assert verified_by_the_documented_sample(posted.body, header, SECRET, now_s)
    assert not verified_by_the_documented_sample(posted.body + b" ", header, SECRET, now_s)
    assert not verified_by_the_documented_sample(posted.body, header, SECRET + b"x", now_s)
    assert not verified_by_the_documented_sample(posted.body, header, SECRET, now_s + 301)


async def test_what_may_pass_is_tried_again_with_growing_jittered_pauses(
    receiver: Receiver, clock: Callable[[], int], make_delivery: MakeDelivery
) -> None:
    receiver.answers = [Answer(500), Answer(503), Answer(429), Answer(204, body=b"")]
    gateway, pauses = gateway_to(receiver.url, clock, backoff_s=1.0, backoff_s_max=3.0)
    async with gateway:
        await gateway.deliver(make_delivery())
    assert len(receiver.posted) == 4
    assert len({posted.body for posted in receiver.posted}) == 1, "the same id each time"
    assert len({posted.headers["Waystation-Signature"] for posted in receiver.posted}) > 1, "signed anew"
    for pause, whole in zip(pauses.taken, [1.0, 2.0, 3.0], strict=True):
        assert whole / 2 <= pause <= whole
    assert gateway.statistics() == {"posts": 4, "retries": 3}


async def test_tries_are_limited(
    receiver: Receiver, clock: Callable[[], int], make_delivery: MakeDelivery
) -> None:
    receiver.answers = [Answer(502)]
    gateway, _ = gateway_to(receiver.url, clock, tries_max=3)
    async with gateway:
        with pytest.raises(GatewayFailed, match="answered 502, try 3 of 3"):
            await gateway.deliver(make_delivery())
    assert len(receiver.posted) == 3


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422])
async def test_what_will_not_pass_is_not_tried_again(
    receiver: Receiver, clock: Callable[[], int], make_delivery: MakeDelivery, status: int
) -> None:
    receiver.answers = [Answer(status, {"Location": receiver.url})]
    gateway, _ = gateway_to(receiver.url, clock)
    async with gateway:
        with pytest.raises(GatewayFailed, match=str(status)):
            await gateway.deliver(make_delivery())
    assert len(receiver.posted) == 1


async def test_retry_after_is_obeyed(
    receiver: Receiver, clock: Callable[[], int], make_delivery: MakeDelivery
) -> None:
    at = format_datetime(datetime.fromtimestamp(clock() / 1000 + 7 + 9, UTC), usegmt=True)
    receiver.answers = [Answer(429, {"Retry-After": "7"}), Answer(429, {"Retry-After": at}), Answer(200)]
    gateway, pauses = gateway_to(receiver.url, clock)
    async with gateway:
        await gateway.deliver(make_delivery())
    assert pauses.taken == [7, 9]


async def test_a_retry_after_that_is_too_long_gives_up(
    receiver: Receiver, clock: Callable[[], int], make_delivery: MakeDelivery
) -> None:
    receiver.answers = [Answer(429, {"Retry-After": "61"})]
    gateway, pauses = gateway_to(receiver.url, clock, retry_after_s_max=60)
    async with gateway:
        with pytest.raises(GatewayFailed, match="retry_after_s_max"):
            await gateway.deliver(make_delivery())
    assert pauses.taken == []


async def test_nothing_is_tried_for_longer_than_the_pin_lives(
    receiver: Receiver, clock: Callable[[], int], make_delivery: MakeDelivery
) -> None:
    receiver.answers = [Answer(429, {"Retry-After": "400"})]
    gateway, pauses = gateway_to(receiver.url, clock, retry_after_s_max=600)
    async with gateway:
        with pytest.raises(GatewayFailed, match="too old"):
            await gateway.deliver(make_delivery())
    assert pauses.taken == [400]


async def test_a_receiver_that_does_not_answer_is_tried_again(
    receiver: Receiver, clock: Callable[[], int], make_delivery: MakeDelivery
) -> None:
    hold = threading.Event()
    receiver.answers = [Answer(200, hold=hold), Answer(200)]
    gateway, pauses = gateway_to(receiver.url, clock, timeout_s=0.3)
    async with gateway:
        await gateway.deliver(make_delivery())
    hold.set()
    assert len(receiver.posted) == 2
    assert len(pauses.taken) == 1


async def test_a_receiver_that_is_not_there_is_named_without_the_pin(
    clock: Callable[[], int], make_delivery: MakeDelivery
) -> None:
    with Receiver() as closed:
        url = closed.url
    gateway, pauses = gateway_to(url, clock, tries_max=2)
    async with gateway:
        with pytest.raises(GatewayFailed, match="could not be reached") as failure:
            await gateway.deliver(make_delivery())
    assert len(pauses.taken) == 1
    assert "314159" not in str(failure.value)


async def test_an_answer_of_any_length_costs_a_bounded_read(
    receiver: Receiver, clock: Callable[[], int], make_delivery: MakeDelivery
) -> None:
    receiver.answers = [Answer(200, body=b"x" * 3_000_000), Answer(200)]
    gateway, _ = gateway_to(receiver.url, clock)
    async with gateway:
        for _ in range(3):
            await gateway.deliver(make_delivery())
    first, second, third = (posted.connection for posted in receiver.posted)
    assert first != second, "its rest wasn't read, so that connection is closed"
    assert second == third, "a short answer keeps its connection"


async def test_a_receiver_with_a_certificate_of_its_own(
    clock: Callable[[], int], make_delivery: MakeDelivery, tmp_path: Path
) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    receiver = Receiver()
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    receiver.scheme = "https"
    with serving(receiver):
        trusting, _ = gateway_to(receiver.url, clock, ca_file=str(certificate))
        async with trusting:
            await trusting.deliver(make_delivery())
        assert len(receiver.posted) == 1
        doubting, _ = gateway_to(receiver.url, clock, tries_max=1)
        async with doubting:
            with pytest.raises(GatewayFailed, match="could not be reached"):
                await doubting.deliver(make_delivery())
        assert len(receiver.posted) == 1, "a PIN isn't told to whoever can't prove its name"


def self_signed(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


def test_the_secret_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(SECRET + b"\n")
    assert read_secret(file) == SECRET
    file.write_bytes(b"short\n")
    with pytest.raises(SecretRefused, match="openssl rand"):
        read_secret(file)
    with pytest.raises(SecretRefused, match="secret_file"):
        read_secret(tmp_path / "nowhere")
