"""Rigs that are taken down after the test, once with plain TCP and once with TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import trio

from node.hub.certificate import make_certificate
from node.hub.tls import ServerTls, load_tls
from tests.node.hub.rig import Rig
from tests.node.hub.running import Running


@pytest.fixture(scope="session")
def server_tls(tmp_path_factory: pytest.TempPathFactory) -> ServerTls:
    folder = tmp_path_factory.mktemp("certificate")
    make_certificate(folder / "certificate.pem", folder / "key.pem")
    return load_tls(folder / "certificate.pem", folder / "key.pem")


@pytest.fixture
def make_rig() -> Iterator[Callable[..., Rig]]:
    rigs: list[Rig] = []

    def make(**options: Any) -> Rig:
        rigs.append(Rig(**options))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()


@pytest.fixture(params=["plain", "tls"])
def transport(request: pytest.FixtureRequest, server_tls: ServerTls) -> ServerTls | None:
    """What a listener gets for `tls`: every test that asks for it runs twice."""
    return server_tls if request.param == "tls" else None


@pytest.fixture
def rig(make_rig: Callable[..., Rig], transport: ServerTls | None) -> Rig:
    return make_rig(tls=transport)


@pytest.fixture
async def running(nursery: trio.Nursery, transport: ServerTls | None) -> AsyncIterator[Running]:
    made = Running(transport)
    await nursery.start(made.hub.run)
    yield made
    for stream in made.streams:
        await trio.aclose_forcefully(stream)
