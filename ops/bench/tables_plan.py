"""What is written to replicated tables: the same keys and values for every system that is compared.

A load is cut into writers. A writer writes to one table and, but for `update`, owns every so many keys of it: so the
last value of each key is the same whatever order the writers come in, and all systems and nodes must end with
the same records. Random keys come from Lehmer's generator (multiplier 48271, modulus 2^31 - 1), which costs next to
nothing in any language. `tables_mnesia.erl` has the same rules in Erlang. This module must never know a system.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, Literal
from zlib import crc32

from attrs import asdict, field, frozen

MODULUS: Final = 2_147_483_647
MULTIPLIER: Final = 48_271
STRIDE: Final = 2_654_435_761
"""A prime: multiples of it, modulo the number of keys, visit every key once, far from the one before."""

NUMBER_BYTES: Final = 8
WRITERS_MAX: Final = 4_096
PHASES_MAX: Final = 32_768
_FILLER: Final = b"x"
_MASK: Final = (1 << 64) - 1

Mode = Literal["fill", "async", "sync", "durable", "transaction", "update"]
"""fill: every key once, or the first ones of that order; as `async`. async: nobody waits for the other node.
sync: each writer waits until its write is with the other node. durable: until it is on the disks of both.
transaction: as sync, one write in a transaction. update: a transaction reads two records and writes both, each with its
number raised by one."""


@frozen
class Load:
    """One phase.

    Attributes:
        phase: number of the phase; it seeds the keys and is part of the values.
        tables: tables, each of `keys` keys.
        writers: processes or tasks that write, a multiple of `tables`.
        writes: in all; for `update` transactions, of two writes each.
        value: bytes of a value.
    """

    mode: Mode
    phase: int
    tables: int
    keys: int
    writers: int
    writes: int
    value: int = 150

    def __attrs_post_init__(self) -> None:
        if self.writers % self.tables or not self.tables <= self.writers < WRITERS_MAX:
            raise ValueError(f"{self.writers} writers can't be spread evenly over {self.tables} tables")
        if self.keys % STRIDE == 0 or self.keys < 2 * self.parts:
            raise ValueError(f"{self.keys} keys of a table are too few for its {self.parts} writers")
        if self.mode == "fill" and (self.writes % self.tables or self.writes > self.tables * self.keys):
            raise ValueError(f"{self.writes} writes don't fill {self.tables} tables of {self.keys} keys")
        if not 0 <= self.phase < PHASES_MAX:
            raise ValueError(f"phase {self.phase} is out of range")
        if self.value < NUMBER_BYTES:
            raise ValueError(f"a value has at least {NUMBER_BYTES} bytes")

    @property
    def parts(self) -> int:
        """Writers of one table."""
        return self.writers // self.tables

    def count_of(self, writer: int) -> int:
        """How often this writer writes."""
        if self.mode == "fill":
            return _share(self.writes // self.tables, self.parts, writer // self.tables)
        return _share(self.writes, self.writers, writer)

    def table_of(self, writer: int) -> int:
        """Where it writes to."""
        return writer % self.tables


def load_fields(load: Load) -> dict[str, Any]:
    """A load as plain values; `Load(**fields)` is the load again."""
    return asdict(load)


def _share(whole: int, parts: int, place: int) -> int:
    return whole // parts + (place < whole % parts)


def filler(load: Load) -> bytes:
    """What follows the number in each value."""
    return _FILLER * (load.value - NUMBER_BYTES)


def first_number(load: Load, writer: int) -> int:
    """The number in the first value of a writer; the next ones count up."""
    return load.phase << 44 | writer << 32


def keys_of(load: Load, writer: int) -> Iterator[int]:
    """The keys of a writer, in order; for `update` two for each transaction."""
    if load.mode == "fill":
        return _permuted(load, writer)
    if load.mode == "update":
        return _shared(load, writer)
    return _own(load, writer)


def _permuted(load: Load, writer: int) -> Iterator[int]:
    keys, parts, slot = load.keys, load.parts, writer // load.tables
    return ((done * parts + slot) * STRIDE % keys for done in range(load.count_of(writer)))


def _own(load: Load, writer: int) -> Iterator[int]:
    parts, slot, state = load.parts, writer // load.tables, _seed(load, writer)
    share = load.keys // parts
    while True:
        state = state * MULTIPLIER % MODULUS
        yield state % share * parts + slot


def _shared(load: Load, writer: int) -> Iterator[int]:
    keys, state = load.keys, _seed(load, writer)
    while True:
        first = state * MULTIPLIER % MODULUS
        state = first * MULTIPLIER % MODULUS
        one, other = first % keys, state % keys
        yield one
        yield other if other != one else (one + 1) % keys


def _seed(load: Load, writer: int) -> int:
    return 1 + (load.phase * 7919 + writer * 104_729) % (MODULUS - 1)


@frozen
class Contents:
    """What one node holds in all tables.

    Attributes:
        records: how many.
        digest: sum of the records' CRC-32 modulo 2^64, each over the key in 8 bytes and the value.
    """

    records: int
    digest: int


def contents_of(records: Iterable[tuple[int, bytes]]) -> Contents:
    """The contents of one table; those of several add up."""
    count = total = 0
    for key, value in records:
        count += 1
        total += crc32(value, crc32(key.to_bytes(8, "big")))
    return Contents(count, total & _MASK)


@frozen
class Expected:
    """What every node must hold, worked out here, one phase after another: for tests and small runs."""

    tables: list[dict[int, bytes]] = field(factory=list)

    def apply(self, load: Load) -> None:
        """Make the writes of one phase."""
        while len(self.tables) < load.tables:
            self.tables.append({})
        rest = filler(load)
        for writer in range(load.writers):
            table, number = self.tables[load.table_of(writer)], first_number(load, writer)
            count = load.count_of(writer) * (2 if load.mode == "update" else 1)
            for done, key in enumerate(islice(keys_of(load, writer), count)):
                if load.mode == "update":
                    found = table.get(key, bytes(NUMBER_BYTES))
                    table[key] = (int.from_bytes(found[:NUMBER_BYTES], "big") + 1).to_bytes(8, "big") + rest
                else:
                    table[key] = (number + done).to_bytes(NUMBER_BYTES, "big") + rest

    def contents(self) -> Contents:
        """Of one node."""
        parts = [contents_of(table.items()) for table in self.tables]
        return Contents(sum(part.records for part in parts), sum(part.digest for part in parts) & _MASK)
