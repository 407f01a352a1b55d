"""Whom the client talks to over TLS, under asyncio and Trio; and the parsing of addresses and fingerprints."""

from pathlib import Path

import attrs
import pytest

from client.client import Client
from client.driver import Status
from client.errors import BadRecipient, BadServer, ServerNotTrusted
from client.numbers import parse_number
from client.trust import (
    Authority,
    Fingerprint,
    FirstUse,
    Plain,
    Server,
    Trust,
    parse_fingerprint,
    show_fingerprint,
)
from tests.client.fake_server import FAST, Serving, make_certificate, on_both, serve

ALICE = "+15551230001"


async def register(client: Client, server: Serving) -> None:
    await client.request_pin(ALICE)
    await client.register(server.node.pins[int(ALICE)])
    await client.wait_online()


@on_both
async def test_an_authority_or_a_fingerprint_lets_in(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    hexed = show_fingerprint(certificate.fingerprint)
    ways: list[Trust] = [
        Authority(certificate.file),
        Fingerprint(hexed),
        Fingerprint(certificate.fingerprint),
    ]
    async with serve(certificate) as server:
        for at, way in enumerate(ways):
            async with Client.open(tmp_path / str(at), server.address, tls=way, settings=FAST) as client:
                await register(client, server)
                assert client.fingerprint == certificate.fingerprint
                sent = await client.send_text(ALICE, "to myself")
                await sent.accepted()


@on_both
async def test_another_server_is_not_talked_to(tmp_path: Path) -> None:
    certificate, other = make_certificate(tmp_path), make_certificate(tmp_path, "other")
    async with serve(certificate) as server:
        ways: list[Authority | Fingerprint] = [
            Authority(other.file),
            Fingerprint(other.fingerprint),
            Authority(),
        ]
        for at, way in enumerate(ways):
            async with Client.open(tmp_path / str(at), server.address, tls=way, settings=FAST) as client:
                with pytest.raises(ServerNotTrusted):
                    await client.request_pin(ALICE)
                assert client.status is Status.STOPPED
        assert server.heard == []


@on_both
async def test_an_authority_vouches_for_a_name_not_for_any_server(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)  # of 127.0.0.1
    async with serve(certificate) as server:
        address = server.address.replace("127.0.0.1", "localhost")
        way = Authority(certificate.file)
        async with Client.open(tmp_path / "a", address, tls=way, settings=FAST) as client:
            with pytest.raises(ServerNotTrusted):
                await client.request_pin(ALICE)


@on_both
async def test_the_first_certificate_is_remembered(tmp_path: Path) -> None:
    certificate, other = make_certificate(tmp_path), make_certificate(tmp_path, "other")
    async with serve(certificate) as server:
        for first in (True, False):
            async with Client.open(tmp_path / "a", server.address, tls=FirstUse(), settings=FAST) as client:
                if first:
                    await register(client, server)
                await client.wait_online()
                assert client.trusted_on_first_use is first
                assert client.fingerprint == certificate.fingerprint
    port = int(server.address.partition(":")[2])
    async with (
        serve(other, node=server.node, port=port) as again,
        Client.open(tmp_path / "a", again.address, tls=FirstUse(), settings=FAST) as client,
    ):
        with pytest.raises(ServerNotTrusted, match="as before"):
            await client.wait_online()
        with pytest.raises(ServerNotTrusted):
            async for _ in client.messages():
                pass
        assert again.heard == []
    async with serve(other, node=server.node, port=port) as again:
        for way in (Fingerprint(other.fingerprint), FirstUse()):  # vouched for once
            async with Client.open(tmp_path / "a", again.address, tls=way, settings=FAST) as client:
                await client.wait_online()
                assert not client.trusted_on_first_use


@on_both
async def test_a_plain_client_gets_nowhere_with_a_tls_server(tmp_path: Path) -> None:
    settings = attrs.evolve(FAST, request_timeout=0.5, answer_timeout=0.4)
    async with (
        serve(make_certificate(tmp_path)) as server,
        Client.open(tmp_path / "a", server.address, tls=Plain(), settings=settings) as client,
    ):
        with pytest.raises(Exception, match="didn't answer"):
            await client.request_pin(ALICE)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("chat.example:7443", "chat.example", 7443),
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("[::1]:65535", "::1", 65535),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    server = Server.parse(text)
    assert server == Server(host, port)
    assert str(server) == text


@pytest.mark.parametrize("text", ["", "chat.example", ":7443", "a:0", "a:65536", "a:b", "::1:7443", "a b:1"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(BadServer):
        Server.parse(text)


def test_fingerprints() -> None:
    raw = bytes(range(32))
    assert (
        parse_fingerprint(show_fingerprint(raw))
        == parse_fingerprint(raw.hex())
        == parse_fingerprint(raw)
        == raw
    )
    for bad in ("", "00", "zz" * 32, raw.hex() + "00", b"short"):
        with pytest.raises(ServerNotTrusted):
            parse_fingerprint(bad)


def test_numbers() -> None:
    assert parse_number("+1 (555) 123-0001") == parse_number(15551230001) == 15551230001
    for bad in ("15551230001", "+", "+0155", "+1555123000112345", "+1x", 0, 10**15, ""):
        with pytest.raises(BadRecipient):
            parse_number(bad)
