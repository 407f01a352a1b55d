"""The history of `test_core_history` with the real state file, which is closed and opened again at each crash."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

from client.records import Snapshot, StoredMessage, Write
from client.state import State
from tests.client.test_core_history import History


class FileStore:
    """As `MemoryStore`; `load` is what a new process does.

    Nothing here loses power, so the file is in memory: thousands of commits would wait for a disk that others use too.
    """

    def __init__(self) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="waystation-", dir="/dev/shm")
        self.state: State | None = None

    def load(self) -> Snapshot:
        if self.state is not None:
            self.state.close()
        self.state = State.open(Path(self.directory.name) / "state")
        return self.state.load()

    def commit(self, writes: list[Write]) -> None:
        assert self.state is not None
        if writes:
            self.state.commit(writes)

    def inbox(self, after: int, limit: int) -> list[StoredMessage]:
        assert self.state is not None
        return self.state.inbox(after, limit)

    def end(self) -> None:
        assert self.state is not None
        self.state.close()
        self.directory.cleanup()


class FileHistory(History):
    make_store = FileStore

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            for phone in getattr(self, "phones", {}).values():
                phone.store.end()


TestFileHistory = FileHistory.TestCase
TestFileHistory.settings = settings(
    max_examples=8,
    stateful_step_count=40,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow],
)
