"""Logins in turn: never more than the rate, nobody forgotten, who is put off is told a time of his own, and those who
are in don't wait behind those who come."""

from collections import Counter
from functools import partial
from heapq import heappop, heappush
from itertools import pairwise
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from client.returning import Returning
from client.settings import Settings
from node import arrival, entrance
from node.accounts.outcomes import Refused
from node.entrance import Entrance
from node.settings import SessionSettings
from node.wire import errors, verbs
from tests.node.live import Device, FakeTime, LiveNode, error, live_node

PHONES = 10_000
PASS_S = 0.004


def test_ten_thousand_at_once_come_in_at_the_rate_and_whoever_is_put_off_comes_back_spread() -> None:
    settings = SessionSettings()
    door = Entrance(settings)
    chance = Random(4)
    phones = [Returning(Settings(), Random(chance.random())) for _ in range(PHONES)]
    arrivals = [(0.0, number) for number in range(PHONES)]
    let_in: dict[int, float] = {}
    told: list[int] = []
    again: Counter[int] = Counter()
    now = 0.0

    def come_in(number: int) -> None:
        let_in[number] = now
        door.answered()

    while len(let_in) < PHONES:
        assert now < 60.0, f"{PHONES - len(let_in)} are still outside"
        while arrivals and arrivals[0][0] <= now:
            _, number = heappop(arrivals)

            retry_ms = door.enter(number, partial(come_in, number), now)
            if retry_ms:
                told.append(retry_ms)
                phones[number].ended(now, cut=False)
                at = now + phones[number].wait(retry_ms / 1000)
                again[int(at)] += 1
                heappush(arrivals, (at, number))
        assert door.waiting <= settings.logins_waiting_max
        before = len(let_in)
        door.work(now)
        assert len(let_in) - before <= entrance.PER_PASS_MAX
        now += PASS_S
    per_s = settings.logins_per_s_max
    seconds = Counter(int(at) for at in let_in.values())
    assert max(seconds.values()) <= per_s + per_s * entrance.BURST_MS // 1000
    assert len(told) >= PHONES - settings.logins_waiting_max - per_s, "the room holds no more"
    assert max(again.values()) <= 1.1 * per_s, "they come back at the rate, not together"
    assert max(let_in.values()) <= 1.4 * PHONES / per_s, "nobody's turn is wasted for long"
    assert door.waiting == door.under_way == 0


def test_times_are_booked_one_after_another_behind_those_who_wait() -> None:
    door = Entrance(SessionSettings(logins_per_s_max=10, logins_waiting_max=20))
    assert [door.enter(one, lambda: None, 0.0) for one in range(20)] == [0] * 20
    assert [door.enter(one, lambda: None, 0.0) for one in range(20, 24)] == [2_100, 2_200, 2_300, 2_400]
    assert door.enter(24, lambda: None, 100.0) == 2_100, "turns that are over are nobody's"
    many = [door.enter(one, lambda: None, 100.0) for one in range(25, 2_000)]
    assert max(many) <= entrance.RETRY_MS_MOST
    assert min(many) >= entrance.RETRY_MS_LEAST
    assert max(Counter(one // 1_000 for one in many).values()) <= len(many) / 45, (
        "spread over the whole minute"
    )


def test_who_goes_away_leaves_the_turn_to_the_next() -> None:
    door = Entrance(SessionSettings(logins_per_s_max=10, logins_waiting_max=20))
    came: list[str] = []
    for name in ("a", "b", "c"):
        door.enter(name, lambda name=name: came.append(name), 0.0)  # type: ignore[misc]
    door.work(0.0)
    door.leave("b")
    door.leave("a")
    door.work(0.0)
    assert came == ["a"], "the burst of a tenth of a second is one"
    at = door.wake_at()
    assert at is not None
    door.work(at)
    assert came == ["a", "c"]
    assert door.wake_at() is None


def test_no_more_are_begun_than_may_wait_for_an_answer_but_for_those_whom_nobody_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entrance, "UNDER_WAY_MAX", 3)
    monkeypatch.setattr(entrance, "STUCK_MAX", 6)
    stuck = 0
    door = Entrance(SessionSettings(logins_per_s_max=0, logins_waiting_max=20), lambda: stuck)
    for one in range(20):
        door.enter(one, lambda: None, 0.0)
    door.work(0.0)
    assert (door.let_in, door.waiting, door.wake_at()) == (3, 17, None)
    door.answered()
    door.work(0.0)
    assert (door.let_in, door.wake_at()) == (4, None)
    stuck = 2
    assert door.wake_at() is not None
    door.work(0.0)
    assert (door.let_in, door.under_way) == (6, 5)
    stuck = 5
    door.work(0.0)
    assert (door.let_in, door.under_way, door.wake_at()) == (7, 6, None)


def test_a_node_that_is_slower_than_its_rate_takes_nobody_more_and_books_turns_at_its_own_pace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One answer in 100 ms, at a rate of 500 a second."""
    monkeypatch.setattr(entrance, "UNDER_WAY_MAX", 1)
    door = Entrance(SessionSettings())
    for one in range(400):
        assert door.enter(one, lambda: None, 0.0) == 0
    for tenth in range(60):
        door.work(tenth / 10)
        door.answered()
    assert door.let_in == 60
    told = [door.enter(one, lambda: None, 6.0) for one in range(400, 410)]
    assert told[0] >= 30_000, "340 wait before it"
    assert all(90 <= later - sooner <= 101 for sooner, later in pairwise(told)), told


def test_another_rate_holds_at_once_and_for_those_who_wait() -> None:
    door = Entrance(SessionSettings(logins_per_s_max=1, logins_waiting_max=10))
    for one in range(10):
        door.enter(one, lambda: None, 0.0)
    door.work(0.0)
    door.adjust(SessionSettings(logins_per_s_max=1_000, logins_waiting_max=10))
    door.work(0.0)
    assert door.let_in == 1 + entrance.PER_PASS_MAX


@pytest.mark.parametrize("wrong", [{"logins_per_s_max": -1}, {"logins_waiting_max": 0}])
def test_limits_that_make_no_sense_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^session\.logins_"):
        SessionSettings(**wrong)


def test_the_room_holds_no_more_than_have_their_turn_soon() -> None:
    door = Entrance(SessionSettings(logins_per_s_max=2))
    told = [door.enter(one, lambda: None, 0.0) for one in range(12)]
    assert told == [0] * 10 + [5_500, 6_000]


async def test_those_who_are_in_are_served_while_logins_wait_and_who_is_refused_is_told_when(
    tmp_path: Path,
) -> None:
    """Time stands still: only the first of these logins may come in."""
    devices = [Device.of(number) for number in range(1, 9)]
    alice, bob, *others = devices
    time = FakeTime(1_000.0)
    session = SessionSettings(logins_per_s_max=10, logins_waiting_max=4)
    async with live_node(tmp_path / "node", devices=devices, time=time, session=session) as node:
        sender = await node.login(alice)
        time.now += 1
        recipient = await node.login(bob)
        crowd = [(await node.greeted(), device) for device in others]
        for number, (phone, device) in enumerate(crowd, 1):
            await phone.send(device.login(phone.nonce, phone.certificate))
            await node.wait(partial(_is_counted, node, number))
        assert (node.service.entrance.waiting, node.service.entrance.put_off) == (4, 2)
        await sender.send(alice.send(bob, 1, b"here"))
        await recipient.expect((verbs.DELIVER, alice.user, alice.stream, 1, 0, node.mail.now, b"here"))
        *waiting, one, two = [phone for phone, _ in crowd]
        text = "too many log in now"
        await one.expect(error(errors.OVERLOADED, retry_ms=1_100, text=text))
        await two.expect(error(errors.OVERLOADED, retry_ms=1_200, text=text))
        await waiting[0].close()
        for phone in waiting[1:]:
            time.now += 0.1
            assert (await phone.next())[0] == verbs.LOGIN
        statistics = node.running.statistics()
        assert (statistics["logins"], statistics["logins_waiting"], statistics["logins_put_off"]) == (5, 0, 2)


async def test_logins_that_nobody_could_answer_come_back_in_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [Device.of(number) for number in range(1, 4)]

    def nobody(*arguments: Any) -> None:
        arguments[-1](Refused(errors.OVERLOADED, "nobody is there", 500))

    session = SessionSettings(logins_per_s_max=100)
    async with live_node(tmp_path / "node", devices=devices, session=session) as node:
        monkeypatch.setattr(node.service.accounts, "login", nobody)
        told = []
        for device in devices:
            phone = await node.greeted()
            await phone.send(device.login(phone.nonce, phone.certificate))
            told.append((await phone.next())[3])
        assert node.service.entrance.under_way == 0
    assert told == [1_010, 1_020, 1_030], "a turn of its own for each"


@pytest.mark.parametrize("answers_first", [False, True])
def test_a_login_that_fails_here_ends_its_own_connection_and_is_no_longer_under_way(
    answers_first: bool,
) -> None:
    door = Entrance(SessionSettings())
    failed: list[Exception] = []

    def fail(*arguments: Any) -> None:
        if answers_first:
            door.answered()
        raise RuntimeError("planted")

    session = SimpleNamespace(
        certificate=b"", address="", hub=SimpleNamespace(failed=lambda _, why: failed.append(why))
    )
    service: Any = SimpleNamespace(entrance=door, gate=SimpleNamespace(login=fail))
    door.enter(id(session), partial(arrival._log_in, service, session, 1, b"", b""), 0.0)  # type: ignore[arg-type]
    door.work(0.0)
    assert (len(failed), door.under_way, door.let_in) == (1, 0, 1)


def _is_counted(node: LiveNode, count: int) -> bool:
    """Whether so many wait, or were put off."""
    return node.service.entrance.waiting + node.service.entrance.put_off == count
