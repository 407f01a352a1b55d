"""The memory that a store counts on is what the kernel lets the process have."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from store.limits import StoreSettings
from store.memory import memory_limit, warm_bytes_for
from store.schema import Group, Table
from store.store import Store
from store.writes import PUT

GIB = 1024**3
MACHINE = {"proc/meminfo": f"MemTotal:       {16 * GIB // 1024} kB\nMemFree: 1 kB\n"}
GROUPS = [Group("mail", (Table("message"),)), Group("account", (Table("account"),))]


def surroundings(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def v2(path: str, **limits: str) -> dict[str, str]:
    """limits: directory with `_` for `/` → memory.max."""
    files = {"proc/self/cgroup": f"0::{path}\n"}
    for where, limit in limits.items():
        files[f"sys/fs/cgroup/{where.replace('_', '/')}/memory.max"] = limit + "\n"
    return files


V1 = "sys/fs/cgroup/memory"
UNLIMITED = str(2**63 - 4096)


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, 16 * GIB),
        (v2("/", a=str(GIB)), 16 * GIB),
        (v2("/a/b", a="max", a_b=str(2 * GIB)), 2 * GIB),
        (v2("/a/b", a=str(GIB), a_b=str(2 * GIB)), GIB),
        (v2("/a", a=str(64 * GIB)), 16 * GIB),
        (v2("/of/the/host") | {"sys/fs/cgroup/memory.max": str(3 * GIB)}, 3 * GIB),
        (
            {
                "proc/self/cgroup": "7:cpu:/x\n4:memory,hugetlb:/a\n0::/\n",
                f"{V1}/a/memory.limit_in_bytes": str(GIB),
            },
            GIB,
        ),
        ({"proc/self/cgroup": "4:memory:/a\n", f"{V1}/memory.limit_in_bytes": UNLIMITED}, 16 * GIB),
    ],
)
def test_the_lowest_limit_around_the_process_counts(
    tmp_path: Path, files: dict[str, str], limit: int
) -> None:
    assert memory_limit(surroundings(tmp_path, MACHINE | files)) == limit


def test_half_of_it_is_divided_over_the_groups(tmp_path: Path) -> None:
    surroundings(tmp_path, MACHINE)
    assert warm_bytes_for(1, tmp_path) == 8 * GIB
    assert warm_bytes_for(4, tmp_path) == 2 * GIB


def test_where_the_kernel_says_nothing_nothing_is_warm(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) == 0
    assert warm_bytes_for(3, tmp_path) == 1


def test_this_machine_has_memory() -> None:
    assert memory_limit() > 2**20


@pytest.mark.parametrize(("chosen", "each"), [(0, None), (12_345, 12_345)])
def test_a_store_takes_what_was_chosen_or_finds_it_out(tmp_path: Path, chosen: int, each: int | None) -> None:
    settings = attrs.evolve(StoreSettings(), warm_bytes=chosen)
    with Store.open(tmp_path / "s", GROUPS, settings=settings, committer="inline") as store:
        assert store.settings.warm_bytes == (each or warm_bytes_for(len(GROUPS)))
        assert all(group.state.settings is store.settings for group in store.groups)
        assert store.group("mail").state.warm


async def test_a_group_larger_than_that_is_read_on_a_thread(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", GROUPS, settings=StoreSettings(warm_bytes=1)) as store:
        assert not store.group("mail").warm
        store.group("mail").submit([(PUT, 0, (1, 1), "a")], lambda result: None)
