"""Sessions and users under an operator's hands: what phones notice, what lasts, and what doesn't get lost."""

from pathlib import Path

import pytest

from admin.channel.errors import Refused
from node.wire import errors, verbs
from tests.node.live import error
from tests.ops.operated import ALICE, BOB, operated

A, B = "+15551230001", "+15551230002"


async def test_connections_and_sessions_are_listed_and_narrowed_down(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        await node.node.login(ALICE)
        await node.node.greeted()
        rows = await node.ask("connections list")
        assert sorted((one["phase"], one["user"]) for one in rows) == [("greeted", None), ("talking", A)]
        assert [one["phase"] for one in await node.ask("connections list --phase talking")] == ["talking"]
        assert len(await node.ask("connections list --limit 1")) == 1
        assert await node.ask("connections list --address 192.0.2.1") == []
        assert await node.ask("connections list --idle 1h") == []
        (row,) = await node.ask("sessions list")
        assert row["user"] == A


async def test_a_session_is_found_by_its_number(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        await node.node.login(ALICE)
        assert (await node.ask(f"sessions find {A}"))["phase"] == "talking"
        with pytest.raises(Refused, match="has no session on this node"):
            await node.ask(f"sessions find {B}")


async def test_who_is_disconnected_is_told_to_come_again_and_loses_nothing(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        alice, bob = await node.node.login(ALICE), await node.node.login(BOB)
        await bob.send(BOB.send(ALICE, 1))
        assert (await alice.next())[0] == verbs.DELIVER
        assert await node.ask(f"sessions disconnect {A} --retry 5s") == {"disconnected": 1}
        assert (await alice.end())[-1] == (verbs.BYE, errors.SHUTTING_DOWN, 5_000)
        again = await node.node.login(ALICE)
        assert (await again.next())[0] == verbs.DELIVER, "what was not acknowledged comes again"
        with pytest.raises(Refused, match="has no session"):
            await node.ask("sessions disconnect +15551230009")


async def test_connections_are_disconnected_by_what_they_are(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        alice, greeted = await node.node.login(ALICE), await node.node.greeted()
        with pytest.raises(Refused, match="say which"):
            await node.ask("connections disconnect")
        assert await node.ask("connections disconnect --phase greeted") == {"disconnected": 1}
        assert (await greeted.end())[-1][0] == verbs.BYE
        await alice.quiet()
        assert (await node.ask("stats hub.closed"))["operator"] == 1


async def test_a_blocked_user_is_out_until_unblocked_also_after_a_restart(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        alice = await node.node.login(ALICE)
        assert (await node.ask(f"user block {A}"))["blocked"] is True
        await alice.refused(errors.BLOCKED)
        assert (await node.ask(f"user show {A}"))["blocked"] is True
    async with operated(tmp_path) as node:
        phone = await node.node.greeted()
        await phone.send(ALICE.login(phone.nonce))
        await phone.refused(errors.BLOCKED)
        await node.ask(f"user unblock {A}")
        await node.node.login(ALICE)
        for line in ("user block", "user unblock", "user show"):
            with pytest.raises(Refused, match="is not registered"):
                await node.ask(f"{line} +15551230009")


async def test_a_deleted_user_is_gone_what_waited_is_expired_and_its_sender_told(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        bob = await node.node.login(BOB)
        await bob.send(BOB.send(ALICE, 1))
        assert (await bob.next())[0] == verbs.ACCEPTED
        with pytest.raises(Refused, match="add --yes"):
            await node.ask(f"user delete {A}")
        alice = await node.node.login(ALICE)
        assert await node.ask(f"user delete {A} --yes") == {"user": A, "deleted": True}
        assert (await alice.end())[-1] == error(errors.SUPERSEDED)
        receipt = await bob.next()
        assert receipt[0] == verbs.RECEIPT
        assert (await node.ask(f"user show {A}"))["device"] == "none"
        phone = await node.node.greeted()
        await phone.send(ALICE.login(phone.nonce))
        await phone.refused(errors.UNAUTHORISED)
        with pytest.raises(Refused, match="is not registered"):
            await node.ask("user delete +15551230009 --yes")


async def test_the_log_level_is_changed_and_shown(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        told = await node.ask("log level debug")
        assert told == {"level": "debug", "before": "info", "until": "for good"}
        assert await node.ask("log level") == {"level": "debug", "before": "debug"}
