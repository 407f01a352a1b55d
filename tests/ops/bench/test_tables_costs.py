"""Costs of processes as the kernel tells them."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import frozen

from ops.bench import tables_costs
from ops.bench.tables_costs import Costs, disk_of, sent_bytes_in

LISTING = """\
0      0      127.0.0.1:1 127.0.0.1:2 users:(("beam.smp",pid=6835,fd=18))
\t bbr wscale:10,10 bytes_sent:16 bytes_acked:17 bytes_received:6
0      0      127.0.0.1:2 127.0.0.1:1 users:(("epmd",pid=683,fd=6))
\t bbr wscale:10,10 bytes_sent:6 bytes_acked:6
0      0      127.0.0.1:3 127.0.0.1:4 users:(("a",pid=1,fd=2),("b",pid=6860,fd=2))
\t bbr wscale:10,10 bytes_sent:2834838 bytes_acked:2834839
0      0      127.0.0.1:5 127.0.0.1:6 users:(("a",pid=6860,fd=3))
\t bbr wscale:10,10 rto:204
"""


@frozen
class Me:
    """This process."""

    directory: Path
    pids: Sequence[int] = (os.getpid(),)

    def cpu_seconds(self) -> float:
        return 1.5


def test_only_the_sockets_of_the_processes_count() -> None:
    assert sent_bytes_in(LISTING, [6835, 6860]) == 2834854
    assert sent_bytes_in(LISTING, [683]) == 6
    assert sent_bytes_in(LISTING, [35]) == 0


def test_what_is_sent_and_written_is_counted(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as sender,
        listener.accept()[0] as receiver,
    ):
        before = Costs.of(Me(tmp_path))
        sender.sendall(b"x" * 10_000)
        assert len(receiver.recv(10_000, socket.MSG_WAITALL)) == 10_000
        (tmp_path / "file").write_bytes(os.urandom(1 << 20))
        spent = Costs.of(Me(tmp_path)).since(before)
    assert spent.cpu_seconds == 0
    assert spent.wire_bytes is None or spent.wire_bytes >= 10_000
    if disk_of(tmp_path) is not None:
        assert spent.disk_bytes >= 1 << 20


def test_without_ss_the_wire_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables_costs.shutil, "which", lambda *_, **__: None)
    one = Costs.of(Me(tmp_path))
    assert one.wire_bytes is None
    assert Costs.of(Me(tmp_path)).since(one).wire_bytes is None
