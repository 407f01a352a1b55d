"""Datagrams to the service manager: what is in them, and that nothing waits for a manager that doesn't read."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from admin.systemd.notify import Notifier, is_journal, one_line


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.settimeout(10)
        if request.param == "path":
            address = str(tmp_path / "notify")
            bound.bind(address)
        else:
            bound.bind("")  # the kernel chooses an abstract name (unix(7), autobind)
            address = "@" + bound.getsockname()[1:].decode()
        yield bound, address


def test_lines_and_descriptors_arrive(manager: tuple[socket.socket, str], tmp_path: Path) -> None:
    bound, address = manager
    notifier = Notifier.of({"NOTIFY_SOCKET": address})
    assert notifier is not None
    with (tmp_path / "kept").open("w") as file:
        assert notifier.tell("FDSTORE=1", "FDNAME=kept", descriptors=(file.fileno(),))
        data, descriptors, _, _ = socket.recv_fds(bound, 1_000, 4)
        assert data == b"FDSTORE=1\nFDNAME=kept"
        assert len(descriptors) == 1
        assert os.path.sameopenfile(descriptors[0], file.fileno())
        os.close(descriptors[0])
    assert notifier.tell("STATUS=well")
    assert bound.recv(1_000) == b"STATUS=well"
    assert (notifier.sent, notifier.lost) == (2, 0)
    notifier.close()


def test_a_manager_that_does_not_read_is_not_waited_for(manager: tuple[socket.socket, str]) -> None:
    notifier = Notifier(manager[1])
    for _ in range(100_000):
        if not notifier.tell("WATCHDOG=1"):
            break
    assert notifier.lost == 1
    notifier.close()


def test_a_manager_that_is_gone_is_no_error(tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "nobody"))
    assert not notifier.tell("READY=1")
    assert not notifier.barrier(10)
    notifier.close()


def test_a_barrier_waits_until_the_manager_has_dealt_with_it(manager: tuple[socket.socket, str]) -> None:
    bound, address = manager
    notifier = Notifier(address)
    assert not notifier.barrier(0.01), "it hasn't been looked at"
    _, late, _, _ = socket.recv_fds(bound, 100, 1)
    seen = []

    def deal() -> None:
        data, descriptors, _, _ = socket.recv_fds(bound, 100, 1)
        seen.append(data)
        os.close(descriptors[0])

    thread = threading.Thread(target=deal)
    thread.start()
    assert notifier.barrier(10)
    thread.join()
    assert seen == [b"BARRIER=1"]
    os.close(late[0])
    notifier.close()


def test_without_a_name_there_is_nobody_and_a_wrong_one_is_refused() -> None:
    assert Notifier.of({}) is None
    assert Notifier.of({"NOTIFY_SOCKET": ""}) is None
    for wrong in ("relative", "vsock:2:1234", "@"):
        with pytest.raises(ValueError, match="NOTIFY_SOCKET"):
            Notifier(wrong)


def test_a_status_is_one_line() -> None:
    assert one_line("two\nlines\r\n and  more ") == "two lines and more"


def test_the_journal_is_known_by_device_and_inode(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log, (tmp_path / "other").open("w") as other:
        found = os.fstat(log.fileno())
        environment = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert is_journal(log.fileno(), environment)
        assert not is_journal(other.fileno(), environment)
        assert not is_journal(log.fileno(), {})
        assert not is_journal(log.fileno(), {"JOURNAL_STREAM": "nonsense"})
