"""Who listens is told from who doesn't, and a peer whose entrance was closed is told of, while it stays so."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trio

from replication.zeromq import knocking
from replication.zeromq.address import Address
from replication.zeromq.knocking import knock
from tests.replication.zeromq.cluster import HOST, cluster_of, free_port, node_on, until


async def test_where_nobody_listens_one_is_refused(tmp_path: Path) -> None:
    port = free_port()
    assert await knock(Address(host=HOST, port=port)) is True
    with socket.socket() as listener:
        listener.bind((HOST, port))
        assert await knock(Address(host=HOST, port=port)) is True, "bound, and doesn't listen"
        listener.listen()
        assert await knock(Address(host=HOST, port=port)) is False, "nobody needs to accept"
    assert await knock(Address(host=HOST, port=port)) is True
    path = tmp_path / "socket"
    assert await knock(Address(path=str(path))) is None, "nobody was ever there"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert await knock(Address(path=str(path))) is False
    assert await knock(Address(path=str(path))) is True


async def test_what_leads_nowhere_tells_nothing() -> None:
    assert await knock(Address(host="nobody.invalid", port=1)) is None


async def test_a_name_of_several_places_is_refused_only_by_all() -> None:
    with socket.socket() as listener:
        listener.bind((HOST, free_port()))
        listener.listen()
        open_, closed = listener.getsockname(), (HOST, free_port())

        async def places(_: Address) -> list[tuple[int, object]]:
            return [(socket.AF_INET, one) for one in found]

        original, knocking._places = knocking._places, places
        try:
            found = [closed, open_]
            assert await knock(Address(host="two", port=1)) is False
            found = [closed, closed]
            assert await knock(Address(host="two", port=1)) is True
            found = []
            assert await knock(Address(host="two", port=1)) is None
        finally:
            knocking._places = original


async def test_a_peer_that_has_ended_is_told_of_and_one_that_closes_only_its_links_is_not() -> None:
    a, b = node_on(), node_on()
    async with cluster_of(a, b) as cluster:
        await cluster.start()
        await cluster.connected()
        for link in list(b.links._links.values()):
            link.end("as if it was mended")  # its own half; ours stays
        await cluster.connected()
        await b.stop()
        assert not a.refused
        await until(lambda: len(a.refused) > 1)
        assert set(a.refused) == {b.id}
        await cluster.start(b)
        await cluster.connected()
        await until(lambda: not a.links._knocker._knocking)
        count = len(a.refused)
        await trio.sleep(2 * knocking.GAP_S)
        assert len(a.refused) == count


async def test_nobody_knocks_any_more_where_an_end_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knocking, "TRIES_MAX", 10**9)
    a, b = node_on(), node_on()
    a.enough = True
    async with cluster_of(a, b) as cluster:
        await cluster.start()
        await cluster.connected()
        await b.stop()
        await until(lambda: bool(a.refused) and not a.links._knocker._knocking)
        assert a.refused == [b.id]


async def test_who_still_listens_is_not_told_of() -> None:
    a, b = node_on(), node_on()
    async with cluster_of(a, b) as cluster:
        await cluster.start()
        await cluster.connected()
        control = a.links._links[None, b.id]
        control.end(knocking.DISCONNECTED)
        await until(lambda: control.ups > 1)
        await until(lambda: not a.links._knocker._knocking)
        assert not a.refused
