"""A process that alters its schema, over and over, until it is killed: `python -m tests.store.alterer <path> <first>`.

It goes through STAGES from the one given, writes to a table that stays meanwhile, and prints the number of each stage
once that is durable. So whoever looks afterwards knows what must be there: the last stage told of, or the one after it.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from store.fieldindex import FieldIndex
from store.limits import StoreSettings
from store.operations import AddIndex, ChangeStorage, CreateTable, DropIndex, DropTable
from store.schema import Group, Table
from store.store import Store
from store.writes import PUT

GROUPS = [Group("g", (Table("kept", insert_only=True),))]
SETTINGS = StoreSettings(map_bytes=256 * 1024 * 1024, linger_ms=0, alter_rows=20)
ROWS = 240
TOWN = FieldIndex("town", (("town",),))

Stage = Callable[[Store], Awaitable[Any]]


async def create(store: Store) -> None:
    await store.group("g").alter(CreateTable(Table("made", tombstones=True)))


async def fill(store: Store) -> None:
    group = store.group("g")
    made = group.table("made")
    await group.commit([(PUT, made.id, (n % 3, n), {"town": f"t{n % 4}", "n": n}) for n in range(ROWS)])


async def add_index(store: Store) -> None:
    await store.group("g").alter(AddIndex("made", TOWN))


async def transform(store: Store) -> None:
    await store.group("g").transform("made", lambda key, value: {**value, "n": key[1] + 1_000})


async def to_ram(store: Store) -> None:
    await store.group("g").alter(ChangeStorage("made", "ram"))


async def to_disc(store: Store) -> None:
    await store.group("g").wait_altered()
    await store.group("g").alter(ChangeStorage("made", "disc"))


async def drop_index(store: Store) -> None:
    await store.group("g").alter(DropIndex("made", "town"))


async def add_group(store: Store) -> None:
    group = await store.add_group(Group("extra", (Table("rows"),)))
    await group.commit([(PUT, 0, (1, n), n) for n in range(10)])


async def drop_group(store: Store) -> None:
    await store.drop_group("extra", confirm="extra")


async def drop(store: Store) -> None:
    await store.group("g").alter(DropTable("made"))


STAGES: tuple[Stage, ...] = (
    create,
    fill,
    add_index,
    transform,
    to_ram,
    to_disc,
    drop_index,
    add_group,
    drop_group,
    drop,
)


async def write_meanwhile(group: Any) -> None:
    number = group.table("kept").count()
    while True:
        await group.commit([(PUT, 0, (number % 5, number), number)])
        number += 1


async def main(path: str, first: int) -> None:
    with Store.open(path, GROUPS, settings=SETTINGS) as store:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            nursery.start_soon(write_meanwhile, store.group("g"))
            number = first
            while True:
                await STAGES[number % len(STAGES)](store)
                sys.stdout.write(f"{number}\n")
                sys.stdout.flush()
                number += 1


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
