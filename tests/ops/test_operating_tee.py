"""A live node and a shadow, the socket between them: what is said to the one is said to the other, without bodies."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from admin.channel.errors import Refused
from admin.tee import receiver as receiving
from admin.tee import sender as sending
from admin.tee.receiver import Receiver
from admin.tee.service import Tee
from admin.tee.settings import ShadowSettings
from node.hub.settings import ListenerSettings
from node.session import Session
from node.wire import verbs
from ops.config import Config, ConfigError, NodeSection, node_settings, statistics_settings
from ops.sampling import parts_of
from ops.shadowing import Shadowing, check_directory
from replication.zeromq.keys import make_keys
from tests.node.live import LiveNode, live_node
from tests.ops.operated import ALICE, BOB, Operated, operated

SECRET = b"a body that stays where it is"
GIVE_UP_S = 10.0


@attrs.define
class Pair:
    live: Operated
    shadow: LiveNode
    address: str
    settings: ShadowSettings
    nursery: trio.Nursery
    receiver: Receiver = attrs.field(init=False)
    scope: trio.CancelScope = attrs.Factory(trio.CancelScope)

    async def listen(self, data: Path) -> None:
        """As at the shadow's start."""
        self.scope = trio.CancelScope()

        async def run(task_status: trio.TaskStatus[Receiver]) -> None:
            with self.scope:
                await Shadowing(self.settings, data).run(self.shadow.running, task_status=task_status)

        self.receiver = await self.nursery.start(run)

    @property
    def tee(self) -> Tee:
        tee = self.live.operating.services[Tee]
        assert isinstance(tee, Tee)
        return tee

    async def start(self, share: float = 1.0) -> Any:
        return await self.live.ask(f"tee start {self.address} '{self.receiver.public}' --share {share}")

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(GIVE_UP_S):
            while not condition():
                await self.shadow.turn()
                await trio.sleep(0.005)


@asynccontextmanager
async def pair(path: Path, *, allowed: bool = True) -> AsyncIterator[Pair]:
    async with operated(path / "live") as live:
        tee = live.operating.services[Tee]
        key = tee.public() if allowed else make_keys().public
        async with live_node(path / "shadow", shadow=True) as shadow, trio.open_nursery() as nursery:
            address = f"ipc://{path}/tee"
            two = Pair(live, shadow, address, ShadowSettings(listen=address, allow=(key,)), nursery)
            await two.listen(path / "shadow")
            yield two
            nursery.cancel_scope.cancel()


async def test_what_phones_say_is_said_again_without_its_bodies_and_both_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "REPORT_S", 0.05)
    async with pair(tmp_path) as two:
        live, stage = two.live.node, two.receiver.stage
        alice = await live.login(ALICE)  # before the tee
        status = await two.start()
        assert status["state"] == "on"
        with pytest.raises(Refused, match="there is a tee already"):
            await two.start()
        await two.until(lambda: len(stage) == 1)
        bob = await live.login(BOB)
        await alice.send(ALICE.send(BOB, 1, SECRET), ALICE.send(BOB, 2, SECRET, base=1))
        await bob.next()
        await bob.next()
        await bob.send(BOB.ack(ALICE, 1, 2))
        assert (await alice.next())[0] == verbs.ACCEPTED
        await two.until(lambda: stage.heard[verbs.ACK] == 1)
        await two.until(lambda: stage.told[verbs.ACCEPTED] > 0)
        assert stage.heard[verbs.SEND] == 2
        assert stage.errors == {}
        assert two.shadow.mail.counts.sends == 2
        assert two.shadow.running.hub.counters.connections == 0
        await two.until(lambda: {row["figure"]: row for row in two.tee.compared()}["in.ack"]["shadow"] == 1)
        rows = {row["figure"]: row for row in await two.live.ask("tee stats")}
        assert rows["in.send"] == {"figure": "in.send", "live": 2, "shadow": 2}
        assert rows["out.deliver"]["live"] == 2
        assert rows["out.accepted"]["shadow"] >= 1
        assert rows["accepted_ms.p50"]["live"] is not None
        await bob.close()
        await two.until(lambda: len(stage) == 1)
        assert parts_of(two.live.operating.services)["tee"]()["frames"] == 3
        ended = await two.live.ask("tee stop")
        assert (ended["frames"], ended["dropped"], ended["malformed"]) == (3, 0, 0)
        assert type(live.service.sessions[ALICE.user]) is Session
        assert live.service.tap is None
        assert (await two.live.ask("tee stop")) == {"state": "off"}
    for folder in (tmp_path / "shadow").rglob("*"):
        if folder.is_file():
            assert SECRET not in folder.read_bytes()


async def test_nothing_is_waited_for_and_the_connection_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "RECONNECT_S", 0.02)
    async with pair(tmp_path) as two:
        live = two.live.node
        alice = await live.login(ALICE)
        await two.start()
        await two.until(lambda: len(two.receiver.stage) == 1)
        two.scope.cancel()
        await two.until(lambda: two.tee.status()["state"] == sending.CONNECTING)
        await alice.send(ALICE.send(BOB, 1), ALICE.send(BOB, 2, base=1))
        assert (await two.live.ask("tee status"))["trouble"] == sending.NOBODY
        await two.listen(tmp_path / "shadow")
        await two.until(lambda: len(two.receiver.stage) == 1)
        await alice.send(ALICE.send(BOB, 3, base=1))
        await two.until(lambda: two.receiver.stage.heard[verbs.SEND] == 1)
        # What came before it isn't waited for: the shadow takes the number that it meets first.
        await two.until(lambda: two.shadow.mail.counts.taken == 1)
        assert two.receiver.stage.told[verbs.GAP] == 0
        assert two.tee.status()["connects"] == 2


async def test_a_key_that_is_not_allowed_is_told_and_tried_again(tmp_path: Path) -> None:
    async with pair(tmp_path, allowed=False) as two:
        status = await two.start()
        assert status["state"] == "connecting"
        assert "refuses this node's key" in status["trouble"]
        assert len(two.receiver.stage) == 0
        alice = await two.live.node.login(ALICE)
        await alice.send((verbs.PING, False, 1))
        assert (await alice.next())[0] == verbs.PING
        assert two.receiver.statistics()["connections_refused"] >= 1


async def test_a_tee_that_falls_silent_has_its_guests_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "REPORT_S", 0.02)
    monkeypatch.setattr(receiving, "SILENCE_S_MAX", 0.1)
    async with pair(tmp_path) as two:
        await two.live.node.login(ALICE)
        await two.start()
        await two.until(lambda: len(two.receiver.stage) == 1)
        await two.live.ask("tee stop")
        await two.until(lambda: len(two.receiver.stage) == 0)
        assert two.receiver.statistics()["tees"] == 0


async def test_a_start_that_reaches_nobody_says_so(tmp_path: Path) -> None:
    key = make_keys().public
    async with operated(tmp_path) as node:
        begun = await node.ask(f"tee start 127.0.0.1:9 '{key}'")
        assert begun["state"] == "connecting"
        assert begun["hint"].startswith(f"not connected ({sending.NOBODY}): it is tried until")
        await node.ask("tee stop")


async def test_a_tee_ends_with_its_time(tmp_path: Path) -> None:
    async with pair(tmp_path) as two:
        await two.live.ask(f"tee start {two.address} '{two.receiver.public}' --for 1s")
        await two.until(lambda: two.tee.statistics()["running"] == 0)
        assert two.live.node.service.tap is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("tee start nowhere 'rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7'", "no port"),
        ("tee start 127.0.0.1:7450 short", "no public key"),
        ("tee start 127.0.0.1:7450 'rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7' --share 2", "share"),
    ],
)
async def test_what_makes_no_sense_is_refused(line: str, why: str, tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        with pytest.raises(Refused, match=why):
            await node.ask(line)
        assert (await node.ask("tee status"))["state"] == "off"


def test_a_shadow_listens_to_no_phones_and_calls_nobody(tmp_path: Path) -> None:
    config = Config(base=tmp_path, shadow=ShadowSettings(enabled=True))
    webhook = attrs.evolve(config.statistics.webhook, url="https://alarms.example/")
    config = attrs.evolve(config, statistics=attrs.evolve(config.statistics, webhook=webhook))
    found = node_settings(config)
    assert (found.shadow, found.listeners, found.accounts.open) == (True, (), False)
    assert statistics_settings(config).webhook.url == ""
    assert isinstance(
        node_settings(attrs.evolve(config, shadow=ShadowSettings())).listeners[0], ListenerSettings
    )


def test_real_mail_and_a_shadows_never_share_a_directory(tmp_path: Path) -> None:
    key = make_keys().public
    shadow = ShadowSettings(enabled=True, allow=(key,))
    real = Config(base=tmp_path, node=NodeSection(data="real"))
    (tmp_path / "real" / "store").mkdir(parents=True)
    with pytest.raises(ConfigError, match="serves phones"):
        check_directory(attrs.evolve(real, shadow=shadow))
    other = Config(base=tmp_path, node=NodeSection(data="other"), shadow=shadow)
    (tmp_path / "other").mkdir()
    check_directory(other)
    Shadowing(shadow, tmp_path / "other")
    (tmp_path / "other" / "store").mkdir()
    check_directory(other)
    with pytest.raises(ConfigError, match="holds no real mail"):
        check_directory(attrs.evolve(other, shadow=ShadowSettings()))
    with pytest.raises(ConfigError, match=r"shadow\.allow is empty"):
        check_directory(attrs.evolve(other, shadow=ShadowSettings(enabled=True)))
