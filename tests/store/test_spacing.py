"""Commits find pages side by side where a file may be longer than it must be, and nothing fails for it."""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import pytest

from store import spacing
from store.environment import Environment
from store.errors import DiskFull
from store.limits import StoreSettings
from store.results import Result
from store.schema import Group, Table
from store.store import Store
from store.transaction import Transaction
from store.verify import verify_group
from store.writes import PUT

GROUP = Group("things", (Table("rows", partitioned=False, tombstones=True),))
KEYS = 20_000
MAP = 1 << 28


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of five megabytes is swept as one of fifty."""
    monkeypatch.setattr(spacing, "USED_MIN", 1 << 20)
    monkeypatch.setattr(spacing, "RUN_PAGES", 64)


class Writer:
    """Overwrites random rows, in commits of a hundred, and remembers what each must be."""

    def __init__(self, store: Store, keys: int = KEYS) -> None:
        self.store = store
        self.group = store.group("things")
        self.table = self.group.table("rows").id
        self.random = random.Random(5)
        self.keys = keys
        self.must: dict[int, bytes] = {}
        for low in range(0, keys, 2_000):
            self.write([key * 48_271 % keys for key in range(low, low + 2_000)])

    def write(self, keys: list[int]) -> Result:
        some = {key: self.random.randbytes(150) for key in keys}
        results: list[Result] = []
        self.group.submit([(PUT, self.table, (key,), value) for key, value in some.items()], results.append)
        self.store.deliver_results()
        if results[0].error is None:
            self.must |= some
        return results[0]

    def commit(self, times: int, rows: int = 100) -> None:
        for _ in range(times):
            assert self.write([self.random.randrange(self.keys) for _ in range(rows)]).error is None

    def verify(self) -> None:
        with self.group.snapshot() as reader:
            there = {key: value for (key,), value in reader.range("rows", limit=self.keys + 1)}
        assert there == self.must
        verify_group(self.group)

    @property
    def sweeps(self) -> int:
        found: int = self.group.statistics()["sweeps"]
        return found

    @property
    def file_bytes(self) -> int:
        return self.group.state.environment.file_bytes()


def opened(path: Path, spare: int, **options: Any) -> Store:
    settings = StoreSettings(map_bytes=options.pop("map_bytes", MAP), spare_bytes=spare)
    return Store.open(path, [GROUP], settings=settings, committer="inline", **options)


def requests() -> Iterator[int]:
    """How many pages this thread has written for each request to write, since the last time."""
    before = (0, 0)
    while True:
        lines = Path("/proc/thread-self/io").read_text(encoding="ascii").splitlines()
        found = dict(line.split(": ") for line in lines)
        now = int(found["wchar"]), int(found["syscw"])
        yield (now[0] - before[0]) // max(1, now[1] - before[1])
        before = now


def written_bytes() -> int:
    lines = Path("/proc/thread-self/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def request_bytes(path: Path, spare: int) -> int:
    with opened(path, spare) as store:
        writer = Writer(store)
        writer.commit(200)
        counted = requests()
        next(counted)
        writer.commit(100)
        found = next(counted)
        writer.verify()
        assert bool(writer.sweeps) == bool(spare)
        return found


def test_what_a_commit_writes_lies_side_by_side(tmp_path: Path) -> None:
    strewn = request_bytes(tmp_path / "strewn", 0)
    spaced = request_bytes(tmp_path / "spaced", 1 << 26)
    assert strewn < 1.2 * 4_096
    assert spaced > 1.7 * strewn


@pytest.mark.parametrize(("rows", "commits"), [(100, 200), (3_000, 40)])
def test_no_more_is_kept_free_than_was_allowed(tmp_path: Path, rows: int, commits: int) -> None:
    spare = 2 << 20
    with opened(tmp_path / "s", spare) as store:
        writer = Writer(store)
        writer.commit(commits, rows)
        at_once = writer.file_bytes
        sweeps = writer.sweeps
        writer.commit(commits, rows)
        assert writer.sweeps > sweeps > 0
        # One commit may go beyond it, and of large ones two are always kept by LMDB.
        assert writer.file_bytes <= max(at_once, store.group("things").state.used_bytes + spare) * 1.1
        writer.verify()


def test_each_life_of_a_store_goes_on_with_the_same_file(tmp_path: Path) -> None:
    sizes = []
    for life in range(6):
        with opened(tmp_path / "s", 2 << 20) as store:
            if not life:
                writer = Writer(store)
            else:
                writer.store, writer.group = store, store.group("things")
            writer.commit(60)
            assert writer.sweeps
            writer.verify()
            sizes.append(writer.file_bytes)
    assert sizes[-1] - sizes[2] < 8 * 64 * 4_096, sizes


def test_a_group_that_became_small_is_left_alone_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the long value was just to be put: each commit would put it again."""
    with opened(tmp_path / "s", 2 << 20) as store:
        writer = Writer(store)
        put: list[bytes] = []
        begun = spacing.Spacing.begun

        def watched(self: spacing.Spacing, transaction: Any) -> None:
            before = transaction.get(spacing.KEY, db=self._meta)
            begun(self, transaction)
            if before is None and transaction.get(spacing.KEY, db=self._meta) is not None:
                monkeypatch.setattr(spacing, "USED_MIN", 1 << 40)
                put.append(spacing.KEY)

        monkeypatch.setattr(spacing.Spacing, "begun", watched)
        for _ in range(400):
            writer.commit(1)
            if put:
                break
        assert put
        before = written_bytes()
        writer.commit(10, rows=1)
        assert written_bytes() - before < 10 * 64 * 4_096
        writer.verify()


def test_a_map_that_is_nearly_full_takes_what_it_would_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spacing, "MAP_PARTS", 1)
    monkeypatch.setattr(spacing, "PAUSE_COMMITS", 20)
    with opened(tmp_path / "s", 1 << 30, map_bytes=8 << 20) as store:
        writer = Writer(store, 10_000)
        writer.commit(500)
        assert writer.file_bytes > 7 << 20
        assert writer.sweeps
        writer.verify()


def test_what_fails_for_want_of_room_for_the_long_value_is_seen_by_no_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function that catches it would go on in a transaction that can't be committed."""
    with opened(tmp_path / "s", 2 << 20, map_bytes=16 << 20) as store:
        writer = Writer(store, 10_000)
        monkeypatch.setattr(spacing, "RUN_PAGES", 8_192)
        caught: list[Exception] = []

        def catches(transaction: Transaction) -> None:
            try:
                transaction.get("rows", (1,))
            except Exception as error:  # noqa: BLE001 - whatever it is
                caught.append(error)

        swept = writer.group.state.places.spacing
        assert swept is not None
        results: list[Result] = []
        for _ in range(200):
            writer.commit(1, rows=1_000)
            if swept._step == spacing._GATHER:
                writer.group.submit_transaction(results.append, catches)
                store.deliver_results()
                break
        assert results
        assert swept.sweeps == 0  # there was no room
        assert caught == []
        assert [one.error for one in results if one.error is not None] == []
        writer.verify()


class NoRoom(lmdb.Error):
    """As LMDB reports it."""

    def __init__(self) -> None:
        super().__init__("no room", errno.ENOSPC)
        self.code = errno.ENOSPC  # type: ignore[misc]


class FullOnce(Environment):
    """A disk with no room for the next commit."""

    __slots__ = ("full",)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.full = False

    def commit(self, transaction: Any) -> None:
        if self.full:
            self.full = False
            transaction.abort()
            raise self.named(NoRoom(), "commit")
        super().commit(transaction)


def test_what_is_held_back_is_let_go_when_the_disk_is_full(tmp_path: Path) -> None:
    with opened(tmp_path / "s", 1 << 26, environments=FullOnce) as store:
        writer = Writer(store)
        writer.commit(60)
        environment: Any = writer.group.state.environment
        environment.full = True
        assert writer.write([1]).error is None  # tried again, with the pages that were held back
        environment.full = True
        assert isinstance(writer.write([2]).error, DiskFull)  # nothing is held back any more
        writer.commit(20)
        writer.verify()


def test_a_group_that_holds_pages_back_can_be_dropped(tmp_path: Path) -> None:
    settings = StoreSettings(map_bytes=MAP, spare_bytes=1 << 26)
    with Store.open(tmp_path / "s", [], settings=settings, committer="inline") as store:
        store.add_group_now(GROUP)
        writer = Writer(store)
        writer.commit(60)
        assert writer.group.state.places.spacing is not None
        assert writer.group.state.places.spacing.is_holding
        store.drop_group_now("things", "things")


def test_a_store_is_left_as_a_crash_leaves_it_while_pages_are_held_back(tmp_path: Path) -> None:
    store = opened(tmp_path / "s", 1 << 26)
    writer = Writer(store)
    writer.commit(60)
    assert writer.group.state.places.spacing is not None
    assert writer.group.state.places.spacing.is_holding
    store.abandon()
    with opened(tmp_path / "s", 0) as again:
        writer.store, writer.group = again, again.group("things")
        writer.verify()
