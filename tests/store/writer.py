"""A process that writes to a store until it is killed or meets an error: `python -m tests.store.writer <path>`.

Each submit writes ROWS rows under one number, with one transaction's worth of `pair` in between; the number is printed
once it is durable. So whoever looks afterwards knows what must be there, and that nothing may be there by half.
"""

from __future__ import annotations

import resource
import select
import sys
from typing import Any

from store.errors import StoreError
from store.limits import StoreSettings
from store.results import Result
from store.schema import Group, Table
from store.store import Store
from store.writes import DELETE, PUT

GROUPS = [Group("mail", (Table("message", insert_only=True), Table("pair"), Table("fast", storage="ram")))]
ROWS = 7
IN_FLIGHT = 20


def writes_of(number: int) -> list[tuple[Any, ...]]:
    """What one submit does."""
    rows: list[tuple[Any, ...]] = [
        (PUT, 0, (n * 37, number), number.to_bytes(4, "big") * 40) for n in range(ROWS)
    ]
    rows.append((PUT, 1, (number % 40, "pair"), number))
    rows.append((PUT, 2, (1, "fast"), number))
    if number >= 200:  # all that is left of an old submit is deleted whole
        rows += [(DELETE, 0, (n * 37, number - 200)) for n in range(ROWS)]
    return rows


def main() -> None:
    path, *options = sys.argv[1:]
    if "small-files" in options:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    with Store.open(path, GROUPS, settings=StoreSettings(linger_ms=1)) as store:
        group = store.group("mail")
        last = group.table("pair").range()
        number = max((value for _, value in last), default=-1) + 1
        waiting = [0]
        failed: list[BaseException] = []

        def told(number: int, result: Result) -> None:
            waiting[0] -= 1
            if result.error is not None:
                failed.append(result.error)
            else:
                sys.stdout.write(f"{number}\n")

        poll = select.poll()
        poll.register(store.eventfd, select.POLLIN)
        while not failed:
            while waiting[0] < IN_FLIGHT and not failed:
                try:
                    group.submit(writes_of(number), lambda result, number=number: told(number, result))  # type: ignore[misc]
                except StoreError as error:
                    failed.append(error)
                    break
                waiting[0] += 1
                number += 1
            poll.poll()
            try:
                store.deliver_results()
            except StoreError as error:
                failed.append(error)
            sys.stdout.flush()
        sys.stdout.write(f"{type(failed[0]).__name__}: {failed[0]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
