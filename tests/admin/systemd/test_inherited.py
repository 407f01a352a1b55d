"""Sockets that came with the start: by name, for this process only, and only where they are what is asked for."""

import os
import socket
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from admin.systemd import inherited
from admin.systemd.inherited import Inherited, take_descriptors
from node.hub.settings import ListenerSettings


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def settings(name: str, port: int, host: str = "127.0.0.1", reuse_port: bool = False) -> ListenerSettings:
    return ListenerSettings(host, port, name=name, reuse_port=reuse_port)


@pytest.mark.parametrize(
    ("pid", "count"),
    [("1", "1"), ("", "1"), ("7", ""), ("7", "-1"), ("7", "x")],
)
def test_what_is_for_another_process_or_makes_no_sense_is_not_taken(pid: str, count: str) -> None:
    environment = {"LISTEN_PID": pid, "LISTEN_FDS": count, "LISTEN_FDNAMES": "public", "PATH": "/bin"}
    assert take_descriptors(environment, 7) == []
    assert environment == {"PATH": "/bin"}, "children shall not hear of them"


def test_each_is_taken_by_its_name_and_kept_from_children(listening: socket.socket) -> None:
    sockets = [os.dup(listening.fileno()) for _ in range(2)]
    first = min(sockets)
    os.set_inheritable(first, True)
    environment = {"LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "public"}
    with patch.object(inherited, "FIRST", first):
        found = take_descriptors(environment, 7)
    assert found == [("public", first), ("unknown", first + 1)]
    assert not os.get_inheritable(first)
    for one in sockets:
        os.close(one)


def test_a_unit_s_socket_is_taken_whatever_its_address(listening: socket.socket) -> None:
    sockets = Inherited({"public": listening})
    assert sockets.take(settings("plain", listening.getsockname()[1])) is None
    taken = sockets.take(settings("public", 7443))
    assert taken is listening
    assert not taken.getblocking()
    assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sockets.take(settings("public", 7443)) is None, "once only"


def test_a_kept_socket_is_taken_only_if_it_is_what_would_be_opened(listening: socket.socket) -> None:
    port = listening.getsockname()[1]
    sockets = Inherited({"stored-public": listening})
    assert sockets.take(settings("public", 1)) is None
    assert sockets.take(settings("public", port, "0.0.0.0")) is None
    assert sockets.take(settings("public", port, reuse_port=True)) is None
    assert sockets.take(settings("public", port)) is listening


def test_what_nobody_wants_is_closed(listening: socket.socket) -> None:
    sockets = Inherited({"stored-public": listening})
    assert sockets.close_rest() == ["stored-public"]
    assert listening.fileno() < 0


def test_what_is_no_listening_tcp_socket_is_of_no_use(listening: socket.socket) -> None:
    reading, writing = os.pipe()
    with socket.socket() as silent, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as local:
        wrong = [reading, writing, silent.detach(), local.detach()]
    with patch.object(inherited, "take_descriptors") as taken:
        taken.return_value = [*(("public", one) for one in wrong), ("public", os.dup(listening.fileno()))]
        sockets = Inherited.of({}, 1)
    for one in wrong:
        with pytest.raises(OSError):
            os.fstat(one)
    found = sockets.take(settings("public", 1))
    assert found is not None
    found.close()
