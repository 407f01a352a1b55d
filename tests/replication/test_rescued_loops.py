"""Loops of a member that carry bytes, or do the same again as time passes, go on when what made them fail is mended.

What comes over links, and what is judged of peers, isn't among them: a part of it would be lost.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from replication import rounds
from replication.membership.far import Far
from replication.membership.operating import Operating
from replication.rounds import RESCUE
from replication.zeromq.incoming import Reader
from replication.zeromq.outgoing import Dialer
from store.writes import PUT
from tests.replication.members import members_of, placed
from tests.replication.zeromq.cluster import cluster_of, node_on, until


class Bug(Exception):
    pass


class Faulty:
    """A method that fails, until the code is taken back."""

    def __init__(self, owner: type, name: str, path: pytest.MonkeyPatch) -> None:
        self.failed: list[Exception] = []
        self.calls = 0
        self._whole = getattr(owner, name)
        self._bad = True
        path.setattr(owner, name, lambda *words, **more: self._called(*words, **more))
        path.setattr(rounds, "AFTER_S", 0.001)

    def _called(self, *words: Any, **more: Any) -> Any:
        if self._bad:
            raise Bug
        self.calls += 1
        return self._whole(*words, **more)

    def mend(self, error: Exception) -> bool:
        self.failed.append(error)
        self._bad = False
        return True


def _says(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(map(_says, error.exceptions))
    return isinstance(error, Bug)


@pytest.mark.parametrize(("owner", "name"), [(Operating, "step"), (Far, "step")])
async def test_what_time_brings_again_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    async with members_of(tmp_path, "ab", placed("t")) as members:
        faulty = Faulty(owner, name, monkeypatch)
        RESCUE.set(faulty.mend)
        await until(lambda: faulty.calls > 3)
        assert _says(faulty.failed[0])
        group = members["a"].group("t")
        await group.commit([(PUT, group.table("t").id, (1,), "x")])
        assert await members.equal("t", "t") == {(1,): "x"}


@pytest.mark.parametrize(
    ("owner", "name"), [(Dialer, "beat"), (Dialer, "_hear"), (Dialer, "_greet"), (Reader, "_count")]
)
async def test_links_come_about(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
    faulty = Faulty(owner, name, monkeypatch)
    RESCUE.set(faulty.mend)
    a, b, stranger = node_on(), node_on(), node_on()
    async with cluster_of(a, b) as cluster:
        await cluster.start()
        if name == "_count":
            await stranger.start(cluster.nursery, [stranger.member, a.member])
        await until(lambda: faulty.calls > 0)
        await cluster.connected()
        assert a.links.send(b.id, None, [7, "hello"])
        await until(lambda: b.notes.of(None, a.id) == [[7, "hello"]])
    assert _says(faulty.failed[0])


@pytest.mark.parametrize(("owner", "name"), [(Dialer, "beat"), (Dialer, "_hear")])
async def test_a_bug_that_nobody_mends_ends_them(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    faulty = Faulty(owner, name, monkeypatch)
    refuse: Callable[[Exception], bool] = lambda error: bool(faulty.failed.append(error))  # noqa: E731
    RESCUE.set(refuse)
    a, b = node_on(), node_on()
    with pytest.raises(ExceptionGroup) as ended, trio.fail_after(60):
        async with cluster_of(a, b) as cluster:
            await cluster.start()
            await trio.sleep_forever()
    assert _says(ended.value)
    assert faulty.failed
