"""A process that writes to a store and says what was committed; run under the power-loss shim and killed.

store_writer.py DATA write FIRST     submit rows FIRST, FIRST + 1 …, print each batch once it is durable
store_writer.py DATA check LAST      print the rows up to LAST that aren't there, as JSON
"""

from __future__ import annotations

import json
import sys
from typing import Any

import trio

from store.schema import Group, Table
from store.store import Store
from store.writes import DELETE, PUT

GROUPS = (
    Group("mail", (Table("message", insert_only=True), Table("pair"))),
    Group("accounts", (Table("account", tombstones=True),)),
)
KEPT = 300  # older messages are deleted, so that pages are used again
BATCH = 40


def row(n: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (n % 7, 15550000000 + n % 50, n), {"body": bytes([n % 256]) * (100 + n * 37 % 3000), "n": n}


async def write(store: Store, first: int) -> None:
    mail, accounts = store.group("mail"), store.group("accounts")
    message, pair = mail.table("message").id, mail.table("pair").id
    account = accounts.table("account").id
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run)
        n = first
        while True:
            numbers = range(n, n + BATCH)
            async with trio.open_nursery() as batch:
                for each in numbers:
                    writes = [(PUT, message, *row(each))]
                    if each == n:  # a key that is written over and over
                        writes.append((PUT, pair, (0, 0), {"high": n}))
                    if each >= KEPT:
                        writes.append((DELETE, message, row(each - KEPT)[0]))
                    batch.start_soon(mail.commit, writes)
                batch.start_soon(accounts.commit, [(PUT, account, (n % 7, n), {"n": n})])
            n += BATCH
            print(n - 1, flush=True)


def check(store: Store, last: int) -> list[str]:
    message, pair = store.group("mail").table("message"), store.group("mail").table("pair")
    account = store.group("accounts").table("account")
    found = [
        f"message {n}"
        for n in range(max(0, last + 1 + BATCH - KEPT), last + 1)
        if message.get(row(n)[0]) != row(n)[1]
    ]
    high = pair.get((0, 0))
    if last >= 0 and (high is None or high["high"] < last + 1 - BATCH):
        found.append("pair")
    found += [f"account {n}" for n in range(0, last, BATCH) if account.get((n % 7, n)) != {"n": n}]
    return found


def main() -> None:
    path, what, number = sys.argv[1:]
    with Store.open(path, GROUPS, map_bytes=1 << 30) as store:
        if what == "write":
            trio.run(write, store, int(number))
        else:
            print(json.dumps(check(store, int(number))))


if __name__ == "__main__":
    main()
