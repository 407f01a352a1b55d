"""A stored message that fails its checksum is passed over and named; everything around it is delivered, and swept."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.mail.rows import MailTables
from node.mail.settings import DAY_MS, MailSettings
from node.mail.state import MailState
from node.mail.sweep import Sweep
from node.mail.tables import MAIL
from store import keys
from store.store import Store
from store.writes import PUT

RECIPIENT, STREAM = 100, b"\x01" * 8
SENDERS = (7, 8, 9)
DAMAGED = (8, 2)


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[MailTables]:
    """Three senders with three messages each; the second of the second is damaged, and its pair's row."""
    with Store.open(tmp_path / "store", (MAIL,), committer="inline") as store:
        tables = MailTables(store.group("mail"), lambda user: 5)
        writes = []
        for sender in SENDERS:
            key = (5, RECIPIENT, sender, STREAM)
            writes += [(PUT, tables.message.id, (*key, n), (n, b"body %d" % n)) for n in (1, 2, 3)]
            writes.append((PUT, tables.pair.id, key, [3, [], [], 0, 0]))
        store.group("mail").submit(writes, lambda result: None)
        store.deliver_results()
        sender, n = DAMAGED
        key = keys.encode((5, RECIPIENT, sender, STREAM))
        environment = store.group("mail").state.environment.env
        with environment.begin(write=True) as transaction:
            for place, physical in (
                (tables.message.state.place, key + keys.encode((n,))),
                (tables.pair.state.place, key),
            ):
                record = bytearray(transaction.get(physical, db=place))
                record[-1] ^= 1
                transaction.put(physical, bytes(record), db=place)
        yield tables


class _Pair:
    prefix = b""
    recipient, stream = RECIPIENT, STREAM

    def __init__(self, sender: int) -> None:
        self.sender = sender
        self.box = type("Box", (), {"partition": 5})


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_the_messages_around_it_are_read(tables: MailTables, limit: int) -> None:
    found, start = [], 1
    with tables.group.snapshot() as reader:
        complete = False
        while not complete:
            rows, complete = tables.messages(_Pair(8), start, limit, 10**6)(reader)
            found += [n for n, _, _ in rows]
            start = found[-1] + 1
    assert found == [1, 3]


def test_its_pair_and_all_others_are_found_waiting(tables: MailTables) -> None:
    with tables.group.snapshot() as reader:
        found, after = tables.waiting(RECIPIENT, None, 10)(reader)
        ended, _ = tables.waiting_messages(RECIPIENT, None, 10)(reader)
    assert found == [(sender, STREAM) for sender in SENDERS]
    assert after is None
    assert [(sender, [n for n, _ in rows]) for sender, _, rows in ended] == [
        (7, [1, 2, 3]),
        (8, [1, 3]),
        (9, [1, 2, 3]),
    ]


def test_the_sweep_passes_it_over(tables: MailTables) -> None:
    sweep = Sweep(MailSettings(), tables, MailState(MailSettings(), 90 * DAY_MS), lambda function: None)
    with tables.group.snapshot() as reader:
        aged, onward = sweep.aged(reader, b"", 10)
        old, _ = sweep.old(reader, b"", 30)
    assert [(key[1], [n for n, _ in rows]) for key, rows in aged] == [
        (7, [1, 2, 3]),
        (8, [1, 3]),
        (9, [1, 2, 3]),
    ]
    assert onward == b""
    assert old == []  # all have mail waiting
    assert sweep.damaged == 1


def test_the_sweep_gets_past_a_pair_whose_first_message_is_damaged(tables: MailTables) -> None:
    sweep = Sweep(MailSettings(sweep_pairs=1), tables, MailState(MailSettings(), 0), lambda function: None)
    low, seen = b"", []
    with tables.group.snapshot() as reader:
        for _ in SENDERS:
            aged, low = sweep.aged(reader, low, 10)
            seen += [key[1] for key, _ in aged]
    assert seen == list(SENDERS)
