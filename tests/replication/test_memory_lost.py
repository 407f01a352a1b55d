"""Groups of tables on disc and in memory, of which all members go down and one comes back."""

from pathlib import Path

import pytest
import trio

from store.writes import PUT
from tests.replication.members import members_of, placed, table
from tests.replication.zeromq.cluster import until

MIXED = placed("mixed", table("disc"), table("fleeting", storage="ram"))


@pytest.mark.parametrize("role", ["primary", "heir"])
async def test_one_member_alone_serves_what_was_settled_on_disc(tmp_path: Path, role: str) -> None:
    async with members_of(tmp_path, "ab", MIXED, copies=2) as members:
        group = members["a"].group("mixed")
        for name in ("disc", "fleeting"):
            written = await group.commit([(PUT, group.table(name).id, (1,), "settled")])
            assert written.copies == 2
        await until(lambda: all(one.is_live(0) for one in members.groups("mixed")))
        primary, heir = members.server("mixed"), members.other("mixed")
        assert primary is not None
        async with trio.open_nursery() as nursery:
            for name in "ab":
                nursery.start_soon(members.stop, name)
        alone = primary if role == "primary" else heir
        await members.start(alone)
        group = members[alone].group("mixed")
        await until(lambda: bool(group.statistics()["unserved"]))
        await until(lambda: group.serves(0))
        assert group.table("disc").get((1,)) == "settled"
        assert group.table("fleeting").get((1,)) is None
        assert members[alone].reports["memory_lost"] == 1
        await until(lambda: not group.statistics()["unserved"])

        await members.start(heir if role == "primary" else primary)
        await members.equal("mixed", "disc")
        assert [one.table("disc").get((1,)) for one in members.groups("mixed")] == ["settled"] * 2
