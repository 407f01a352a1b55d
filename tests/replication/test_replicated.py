"""Groups of two or three real members, as their users see them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from replication import asking, casting, forwarding
from replication.core.errors import ClaimLost, NoMove, UnknownMember, WritersWait
from replication.errors import NoProcedure, NotOnePartition, NotServed
from replication.forwarding import Refused, Unanswered
from replication.zeromq.errors import MessageTooLarge
from store.errors import KeyNotStorable, OtherPartition, TableReadOnly, UnknownTable, ValueNotStorable
from store.operations import CreateTable, DropTable, SetReadOnly
from store.subscribe import Changed, Deleted, Missed
from store.writes import DELETE, MERGE, PUT
from tests.replication.members import members_of, placed, table
from tests.replication.zeromq.cluster import until

VALUES: tuple[Any, ...] = (
    None, True, 0, -(2**70), 1.5, "", "ü", b"\0\xff", [1, [2]], {"a": {b"b": [None]}, 3: "c"}, {}, [],
)  # fmt: skip


def add(transaction: Any, key: Any, more: int) -> int:
    """Read, and write what follows from it."""
    total: int = (transaction.get("account", (key,)) or 0) + more
    transaction.put("account", (key,), total)
    return total


def fail(transaction: Any, key: Any) -> None:
    transaction.put("account", (key,), "half")
    raise ValueError("not enough")


def give(transaction: Any, *arguments: Any) -> Any:
    return list(arguments)


def unsendable(transaction: Any) -> Any:
    transaction.put("account", ("unsendable",), 1)
    return object()


def stray(transaction: Any, p: int) -> None:
    transaction.put("letter", (p, "mine"), 1)
    transaction.put("letter", (p + 1, "another's"), 1)


PROCEDURES = {"add": add, "fail": fail, "give": give, "unsendable": unsendable, "stray": stray}
ACCOUNT = placed("account", table("account"), table("log", kind="bag"), table("most", merge="max"))
LETTER = placed("letter", table("letter", partitioned=True), partitions=4)


# ---- writes from any node ----------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["local", "settled"])
async def test_a_commit_on_any_node_is_on_both_copies_and_says_how_durable_it_is(
    tmp_path: Path, policy: Any
) -> None:
    async with members_of(tmp_path, "ab", ACCOUNT) as members:
        await members.equal("account", "account")
        for name in "ab":
            group = members[name].group("account")
            tables = {one: group.table(one).id for one in ("account", "log", "most")}
            for i, value in enumerate(VALUES):
                key = (name, i, None, b"b", ("nested", 1))
                written = await group.commit([(PUT, tables["account"], key, value)], policy=policy)
                assert written.copies == (2 if policy == "settled" else 1)
            await group.commit([(PUT, tables["log"], (name,), [1]), (PUT, tables["log"], (name,), {"n": 2})])
            await group.commit([(MERGE, tables["most"], ("m",), 5)])
            await group.commit(
                [
                    (MERGE, tables["most"], ("m",), 3),
                    (DELETE, tables["account"], (name, 0, None, b"b", ("nested", 1))),
                ]
            )
        expected = {
            (name, i, None, b"b", ("nested", 1)): VALUES[i] for name in "ab" for i in range(1, len(VALUES))
        }
        assert await members.equal("account", "account") == expected
        assert await members.equal("account", "most") == {("m",): 5}
        for name in "ab":
            group = members[name].group("account")
            assert sorted(map(repr, group.table("log").get(("a",)))) == ["[1]", "{'n': 2}"]
            for key, value in expected.items():
                assert await group.read("account", key) == value
            assert await group.read("account", ("nobody",)) is None


async def test_ids_of_tables_are_each_nodes_own(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab") as members:
        await members["a"].schema.create_group("g", [table("first"), table("x"), table("y")])
        await members.ready("g")
        group = members["b"].group("g")
        # On b alone, y is dropped and made again, as another number.
        await group.group.alter(DropTable("y"))
        await group.group.alter(CreateTable(table("y")))
        numbers = {name: members[name].group("g").table("y").id for name in "ab"}
        assert numbers["a"] != numbers["b"]
        for name in "ab":
            await members[name].group("g").commit([(PUT, numbers[name], (name,), name)])
        assert await members.equal("g", "y") == {("a",): "a", ("b",): "b"}


async def test_what_one_caller_casts_and_commits_is_done_in_order_on_every_node(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", ACCOUNT) as members:
        for name in "ab":
            group = members[name].group("account")
            number = group.table("account").id
            for i in range(500):
                group.cast([(PUT, number, (name,), i)])
                if i % 100 == 7:
                    await group.commit([(PUT, number, (name,), ["settled", i])])
                    assert await group.read("account", (name,)) == ["settled", i]
            await group.drained()
            assert await group.read("account", (name,)) == 499
            assert group.casts_failed == 0
        assert await members.equal("account", "account") == {("a",): 499, ("b",): 499}


async def test_what_cannot_be_stored_is_its_callers_fault_alone(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", ACCOUNT) as members:
        for name in "ab":
            group = members[name].group("account")
            number = group.table("account").id
            outcomes: dict[str, Any] = {}

            async def write(what: str, writes: Any) -> None:
                try:
                    outcomes[what] = (await group.commit(writes)).copies  # noqa: B023
                except Exception as error:  # noqa: BLE001
                    outcomes[what] = error  # noqa: B023

            async with trio.open_nursery() as nursery:
                for i in range(20):
                    nursery.start_soon(write, f"good {i}", [(PUT, number, (name, i), i)])
                nursery.start_soon(write, "value", [(PUT, number, ("v",), object())])
                nursery.start_soon(write, "key", [(PUT, number, (1.5,), 1)])
                nursery.start_soon(write, "table", [(PUT, 99, ("t",), 1)])
                nursery.start_soon(write, "nothing", [])
            assert isinstance(outcomes.pop("value"), ValueNotStorable)
            assert isinstance(outcomes.pop("key"), KeyNotStorable | Refused)
            assert isinstance(outcomes.pop("table"), UnknownTable)
            assert isinstance(outcomes.pop("nothing"), NotOnePartition)
            assert set(outcomes.values()) == {2}
            assert len(outcomes) == 20


async def test_a_table_that_is_read_only_on_one_node_is_not_written_through_it(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", ACCOUNT) as members:
        for name in "ab":
            group = members[name].group("account")
            await group.group.alter(SetReadOnly("account", True))
            writes = [(PUT, group.table("account").id, (name,), 1)]
            with pytest.raises(TableReadOnly):
                await group.commit([(PUT, group.table("log").id, (name,), 1), *writes])
            with pytest.raises(TableReadOnly):
                group.cast(writes)
            assert (await group.commit([(PUT, group.table("log").id, (name,), 2)])).copies == 2
            await group.group.alter(SetReadOnly("account", False))
        assert await members.equal("account", "account") == {}
        assert await members.equal("account", "log") == {("a",): 2, ("b",): 2}


async def test_writes_of_one_commit_are_in_one_partition_that_there_is(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", LETTER, procedures=PROCEDURES) as members:
        group = members["a"].group("letter")
        number = group.table("letter").id
        for p in range(4):
            assert (await group.commit([(PUT, number, (p, 1), 1), (PUT, number, (p, 2), 2)])).copies == 2
        for keys in ([(0, 1), (1, 1)], [(4, 1)], [(-1, 1)], [("x", 1)], [()]):
            with pytest.raises((NotOnePartition, KeyNotStorable)):
                await group.commit([(PUT, number, key, 1) for key in keys])
            with pytest.raises((NotOnePartition, KeyNotStorable)):
                group.cast([(PUT, number, key, 1) for key in keys])
        for p in (-1, 4, "x", None):
            with pytest.raises(NotOnePartition, match="divide keys"):
                await group.call("give", partition=p)  # type: ignore[arg-type]
            with pytest.raises(NotOnePartition):
                await group.transact(give, partition=p)  # type: ignore[arg-type]
            with pytest.raises(NotOnePartition):
                await group.read("letter", (p, 1))
            with pytest.raises(NotOnePartition):
                await group.move(p, members.node("b"))  # type: ignore[arg-type]


# ---- transactions ------------------------------------------------------------------------------


async def test_increments_through_all_nodes_add_up(tmp_path: Path) -> None:
    async with members_of(tmp_path, "abc", ACCOUNT, procedures=PROCEDURES) as members:

        async def increment(name: str) -> None:
            for _ in range(25):
                assert (await members[name].group("account").call("add", "sum", 1)).copies == 2

        async with trio.open_nursery() as nursery:
            for name in "abcabc":
                nursery.start_soon(increment, name)
        for group in members.groups("account"):
            assert await group.read("account", ("sum",)) == 150


async def test_a_call_gives_and_takes_the_same_wherever_it_is_made(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", ACCOUNT, procedures=PROCEDURES) as members:
        for group in members.groups("account"):
            written = await group.call("give", *VALUES, ("a", ("tuple",)))
            assert written.value == [*VALUES, ["a", ["tuple"]]]
            with pytest.raises(NoProcedure, match="register"):
                await group.call("unheard of")
            with pytest.raises(ValueNotStorable):
                await group.call("give", object())


async def test_a_transaction_that_fails_changes_nothing_and_says_why_wherever_it_was_called(
    tmp_path: Path,
) -> None:
    async with members_of(tmp_path, "ab", ACCOUNT, procedures=PROCEDURES) as members:
        server, other = members.server("account"), members.other("account")
        assert server is not None
        with pytest.raises(ValueError, match="not enough"):
            await members[server].group("account").call("fail", "x")
        with pytest.raises(Refused, match="ValueError: not enough; mend"):
            await members[other].group("account").call("fail", "x")
        for name in (server, other):
            with pytest.raises((ValueNotStorable, Refused), match="can't be encoded"):
                await members[name].group("account").call("unsendable")
        with pytest.raises(NotServed, match="isn't served by this node"):
            await members[other].group("account").transact(add, "x", 1)
        with pytest.raises(UnknownTable):
            await members[server].group("account").read("nowhere", (1,))
        with pytest.raises(Refused, match="UnknownTable"):
            await members[other].group("account").read("nowhere", (1,))
        assert await members.equal("account", "account") == {}


async def test_a_transaction_keeps_to_its_partition(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", LETTER, procedures=PROCEDURES) as members:
        for p in range(3):
            for group in members.groups("letter"):
                with pytest.raises((OtherPartition, Refused), match="divide keys"):
                    await group.call("stray", p, partition=p)
        assert await members.equal("letter", "letter") == {}


async def test_a_transaction_knows_no_table_of_another_group(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", ACCOUNT, LETTER, procedures=PROCEDURES) as members:
        for group in members.groups("letter"):
            with pytest.raises((UnknownTable, Refused), match="account"):
                await group.call("add", "x", 1, partition=1)


async def test_a_transaction_comes_after_what_was_cast_before(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", ACCOUNT, procedures=PROCEDURES) as members:
        for name in "ab":
            group = members[name].group("account")
            for i in range(50):
                group.cast([(PUT, group.table("account").id, (name,), i)])
            assert (await group.call("add", name, 1)).value == 50


# ---- who is there ------------------------------------------------------------------------------


async def test_what_nobody_serves_is_told_with_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ASK_MS", 200)
    async with members_of(tmp_path, "ab", ACCOUNT, procedures=PROCEDURES) as members:
        server, other = members.server("account"), members.other("account")
        assert server is not None
        members.split(server, other)
        group = members[other].group("account")
        # Before anybody is dead: the primary doesn't answer.
        with pytest.raises(NotServed, match="see with status"), trio.fail_after(30):
            await group.commit([(PUT, group.table("log").id, ("k",), 1)], timeout=0)


async def test_a_question_that_is_never_answered_may_have_happened(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", ACCOUNT, procedures=PROCEDURES) as members:
        server, other = members.server("account"), members.other("account")
        assert server is not None
        members[server].group("account").asked = lambda *_: None  # type: ignore[method-assign]
        group = members[other].group("account")
        with trio.move_on_after(0.05) as scope:
            await group.call("add", "x", 1)
        assert scope.cancelled_caught

        async with trio.open_nursery() as nursery:

            async def call() -> None:
                with pytest.raises(Unanswered, match="look whether it has"):
                    await group.call("add", "x", 1)

            nursery.start_soon(call)
            await until(lambda: len(group.forwarding) == 2)
            group.forwarding.gone(members.node(server))
        assert len(group.forwarding) == 0


async def test_who_is_cancelled_stops_waiting_and_the_write_happens(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", ACCOUNT) as members:
        for name in "ab":
            group = members[name].group("account")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(group.commit, [(PUT, group.table("account").id, (name,), 1)])
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        await until(lambda: len(members["a"].group("account").table("account").range()) == 2)
        assert await members.equal("account", "account") == {("a",): 1, ("b",): 1}


async def test_the_other_side_goes_on_when_the_primary_is_gone_and_nothing_settled_is_missing(
    tmp_path: Path,
) -> None:
    async with members_of(tmp_path, "ab", ACCOUNT, procedures=PROCEDURES) as members:
        server, other = members.server("account"), members.other("account")
        assert server is not None
        group = members[other].group("account")
        number = group.table("account").id
        for i in range(100):
            await group.commit([(PUT, number, (i,), i)])
        await members.stop(server)
        # Nobody looks who is primary: the write goes on by itself.
        written = await group.commit([(PUT, number, (100,), 100)], timeout=60)
        assert written.copies == 1
        assert len(group.table("account").range()) == 101
        await members.start(server)
        assert len(await members.equal("account", "account")) == 101
        await until(lambda: not group.statistics()["single"])
        assert (await group.commit([(PUT, number, (101,), 101)])).copies == 2


# ---- large writes ------------------------------------------------------------------------------


async def test_large_commits_at_once_are_sent_one_after_another_and_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ASK_MS", 0)  # what is waited for is the bytes' time alone
    monkeypatch.setattr(forwarding, "ASKED_BYTES_MAX", 1 << 20)
    monkeypatch.setattr(forwarding, "ASKED_BYTES_S", 50_000)
    async with members_of(tmp_path, "ab", ACCOUNT) as members:
        server, other = members.server("account"), members.other("account")
        assert server is not None
        asked, heard = members[server].group("account").asked, []
        group = members[other].group("account")
        number = group.table("account").id
        under_way = []

        def listen(peer: bytes, message: Any) -> None:
            heard.append(message[1])
            under_way.append(len(group.forwarding))
            asked(peer, message)

        members[server].group("account").asked = listen  # type: ignore[method-assign]
        async with trio.open_nursery() as nursery:
            for i in range(8):
                writes = [(PUT, number, (i,), b"x" * 700_000)]
                nursery.start_soon(partial(group.commit, writes, timeout=60))
        assert len(heard) == 8
        assert max(under_way) == 2
        assert group.forwarding.unanswered == 0
        assert len(await members.equal("account", "account")) == 8


async def test_what_is_too_large_to_be_forwarded_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with members_of(tmp_path, "ab", ACCOUNT) as members:
        other = members[members.other("account")]
        group = other.group("account")
        monkeypatch.setattr(
            other.links, "settings", attrs.evolve(other.links.settings, message_bytes_max=600_000)
        )
        large = [(PUT, group.table("account").id, (i,), b"x" * 400_000) for i in range(2)]
        with trio.fail_after(5), pytest.raises(MessageTooLarge, match="write it in parts"):
            await group.commit(large, timeout=60)
        with pytest.raises(MessageTooLarge, match="primary of partition 0"):
            group.cast(large)
        assert len(group.forwarding) == 0
        assert group.statistics()["cast_bytes"] == 0
        assert (await group.commit(large[:1])).copies == 2


@pytest.mark.parametrize("again", [True, False])
async def test_what_may_have_happened_is_written_again_only_by_who_wants_that(
    tmp_path: Path, again: bool
) -> None:
    async with members_of(tmp_path, "ab", ACCOUNT) as members:
        server, other = members.server("account"), members.other("account")
        assert server is not None
        primary, group = members[server].group("account"), members[other].group("account")
        number = group.table("account").id
        asked, heard = primary.asked, []

        def listen(peer: bytes, message: Any) -> None:
            heard.append(message)
            if len(heard) > 1:
                asked(peer, message)

        primary.asked = listen  # type: ignore[method-assign]

        async def lose() -> None:
            await until(lambda: bool(heard))
            group.forwarding.gone(members.node(server))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(lose)
            if again:
                assert (await group.commit([(PUT, number, ("k",), 1)])).copies == 2
            else:
                with pytest.raises(Unanswered, match="look whether it has"):
                    await group.commit([(PUT, number, ("k",), 1)], again=False)
        assert len(heard) == 1 + again


async def test_what_is_cast_is_bounded_in_bytes_on_every_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(casting, "CAST_BYTES_MAX", 20_000)
    async with members_of(tmp_path, "ab", ACCOUNT) as members:
        for name in "ab":
            group = members[name].group("account")
            writes = [(PUT, group.table("account").id, (name,), b"x" * 9_000)]
            for _ in range(3):
                group.cast(writes)
            assert 27_000 < group.statistics()["cast_bytes"] < 28_000
            with pytest.raises(WritersWait, match="bytes that were cast"):
                group.cast(writes)
            await group.wait_room()
            assert group.statistics()["cast_bytes"] <= 10_000
            group.cast(writes)
            await group.drained()
            assert (group.statistics()["cast_bytes"], group.casts_failed) == (0, 0)


# ---- moving ------------------------------------------------------------------------------------


async def test_a_move_under_load_loses_and_reorders_nothing(tmp_path: Path) -> None:
    async with members_of(tmp_path, "abc", ACCOUNT, procedures=PROCEDURES) as members:
        stop = False
        counts: dict[str, int] = {}

        async def write(name: str) -> None:
            group = members[name].group("account")
            number = group.table("account").id
            i = 0
            while not stop:
                i += 1
                await group.commit([(PUT, number, (name,), i)])
                seen = await group.read("account", (name,))
                assert seen == i, "a write of this task went missing, or an older one came later"
                await group.call("add", "sum", 1)
                counts[name] = i

        async with trio.open_nursery() as nursery:
            for name in "abc":
                nursery.start_soon(write, name)
            for target in ("a", "b", "c", "a"):
                await until(lambda: members.server("account") is not None)
                server = members.server("account")
                assert server is not None
                if target != server:
                    with trio.fail_after(60):
                        while True:
                            try:
                                await members[server].group("account").move(0, members.node(target))
                                break
                            except NoMove:  # a busy machine: its copy wasn't complete in time
                                continue
                    await until(lambda target=target: members[target].group("account").serves(0))
                before = dict(counts)
                await until(lambda before=before: all(counts[n] > before.get(n, 0) for n in counts))
            stop = True
        copies = members.groups("account")[0]
        assert await copies.read("account", ("sum",)) == sum(counts.values())
        assert all([await copies.read("account", (name,)) == counts[name] for name in "abc"])


async def test_a_move_that_cannot_be_made_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", ACCOUNT) as members:
        server, other = members.server("account"), members.other("account")
        assert server is not None
        with pytest.raises(UnknownMember, match="configured members"):
            await members[server].group("account").move(0, b"nobody!!")
        with pytest.raises(ClaimLost):
            await members[other].group("account").move(0, members.node(server))
        await members.stop(other)
        await until(lambda: members[server].detector.state_of(members.node(other)) == "dead")
        with pytest.raises(NoMove, match="can't be reached"):
            await members[server].group("account").move(0, members.node(other))
        assert members[server].group("account").serves(0)


async def test_force_serves_what_is_there_when_nobody_else_does(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", placed("account", table("account"), copies=1)) as members:
        server, other = members.server("account"), members.other("account")
        assert server is not None
        group = members[other].group("account")
        number = group.table("account").id
        assert (await group.commit([(PUT, number, (1,), 1)])).copies == 1
        await members.stop(server)
        await until(lambda: members[other].detector.state_of(members.node(server)) == "dead")
        with pytest.raises(NotServed):
            await group.commit([(PUT, number, (2,), 2)], timeout=0.3)
        with pytest.raises(UnknownMember):
            group.force(7)
        group.force(0)
        await until(lambda: group.serves(0))
        await group.commit([(PUT, number, (2,), 2)])
        await members.start(server)
        # What the former primary alone had is merged, nothing is thrown away.
        await until(lambda: len(group.table("account").range()) == 2)


# ---- events ------------------------------------------------------------------------------------


async def test_a_subscriber_hears_of_changes_from_here_and_from_peers_in_the_order_of_commits(
    tmp_path: Path,
) -> None:
    async with members_of(tmp_path, "ab", ACCOUNT) as members:
        await members.equal("account", "account")
        heard = {
            name: members[name].group("account").table("account").subscribe(limit=1_000) for name in "ab"
        }
        for i in range(50):
            for name in "ab":
                group = members[name].group("account")
                await group.commit([(PUT, group.table("account").id, ("k",), [name, i])])
        await (
            members["a"]
            .group("account")
            .commit([(DELETE, members["a"].group("account").table("account").id, ("k",))])
        )
        for name in "ab":
            await until(lambda name=name: len(heard[name]) == 101)
            events = heard[name].take()
            assert [event.value for event in events[:-1] if isinstance(event, Changed)] == [
                [who, i] for i in range(50) for who in "ab"
            ]
            assert isinstance(events[-1], Deleted)
            sequences = [event.sequence for event in events if not isinstance(event, Missed)]
            assert sequences == sorted(sequences)


async def test_a_subscriber_that_falls_behind_holds_nobody_up_and_is_told_what_it_missed(
    tmp_path: Path,
) -> None:
    async with members_of(tmp_path, "ab", ACCOUNT) as members:
        await members.equal("account", "account")
        for name in "ab":
            other = "b" if name == "a" else "a"
            writer, reader = members[name].group("account"), members[other].group("account")
            with reader.table("account").subscribe(limit=5) as events:
                for i in range(20):
                    await writer.commit([(PUT, writer.table("account").id, (name, i), i)])
                await until(lambda reader=reader, name=name: reader.table("account").get((name, 19)) == 19)
                found = await events.wait_happened()
                assert [event.value for event in found[:5]] == [0, 1, 2, 3, 4]
                assert found[5:] == [Missed(15)]
                await writer.commit([(PUT, writer.table("account").id, ("after",), 1)])
                assert [event.key for event in await events.wait_happened()] == [("after",)]
