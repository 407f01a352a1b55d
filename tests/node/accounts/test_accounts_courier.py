import io
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import pytest
import structlog
import trio
from trio.testing import wait_all_tasks_blocked

from node.accounts.courier import Courier
from node.accounts.errors import GatewayFailed
from node.accounts.gateway import Delivery
from node.accounts.printing import PrintingGateway

MakeDelivery = Callable[..., Delivery]


class FakeGateway:
    """Takes PINs once it is opened, or raises what it is told to."""

    name = "fake"

    def __init__(self) -> None:
        self.opened = trio.Event()
        self.raises: Exception | None = None
        self.taken: list[str] = []
        self.at_once = 0
        self.at_once_most = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    async def deliver(self, delivery: Delivery) -> None:
        self.at_once += 1
        self.at_once_most = max(self.at_once, self.at_once_most)
        await self.opened.wait()
        self.at_once -= 1
        if self.raises is not None:
            raise self.raises
        self.taken.append(delivery.pin)

    def statistics(self) -> Mapping[str, int]:
        return {"taken": len(self.taken)}


def courier_for(
    gateway: FakeGateway, clock: Callable[[], int], waiting_max: int = 4, at_once_max: int = 2
) -> Courier:
    return Courier(gateway, waiting_max=waiting_max, at_once_max=at_once_max, clock=clock)


async def test_pins_wait_for_the_gateway_in_bounded_numbers(
    clock: Callable[[], int], make_delivery: MakeDelivery, nursery: trio.Nursery
) -> None:
    gateway = FakeGateway()
    courier = courier_for(gateway, clock)
    nursery.start_soon(courier.run)
    await wait_all_tasks_blocked()
    for round_ in range(2):
        for number in range(4 if round_ else 2):
            assert courier.reserve()
            courier.post(make_delivery(pin=f"00000{round_}{number}"))
        await wait_all_tasks_blocked()
    assert not courier.reserve(), "2 in hand, 4 waiting"
    statistics = courier.statistics()
    assert (statistics.in_hand, statistics.waiting) == (2, 4)
    gateway.opened.set()
    await wait_all_tasks_blocked()
    assert len(gateway.taken) == 6
    assert gateway.at_once_most == 2
    assert courier.reserve()
    nursery.cancel_scope.cancel()


def test_a_reserved_place_counts_until_it_is_given_back(clock: Callable[[], int]) -> None:
    courier = courier_for(FakeGateway(), clock, waiting_max=2)
    assert courier.reserve()
    assert courier.reserve()
    assert not courier.reserve()
    courier.release()
    assert courier.reserve()
    assert courier.statistics().waiting == 2


@pytest.mark.parametrize("raises", [GatewayFailed("nobody there"), RuntimeError("it says 314159")])
async def test_a_failing_gateway_is_counted_and_logged_without_the_pin(
    clock: Callable[[], int], make_delivery: MakeDelivery, nursery: trio.Nursery, raises: Exception
) -> None:
    gateway = FakeGateway()
    gateway.raises = raises
    gateway.opened.set()
    courier = courier_for(gateway, clock)
    with structlog.testing.capture_logs() as logs:
        nursery.start_soon(courier.run)
        courier.reserve()
        courier.post(make_delivery())
        await wait_all_tasks_blocked()
    statistics = courier.statistics()
    assert statistics.failed + statistics.broken == 1
    assert statistics.delivered == statistics.in_hand == 0
    (event,) = logs
    assert event["event"] == "pin_not_sent"
    assert event["delivery"] == "id-15551230001"
    assert "314159" not in str(logs)
    gateway.raises = None
    courier.reserve()
    courier.post(make_delivery())
    await wait_all_tasks_blocked()
    assert gateway.taken == ["314159"], "one failure doesn't end the courier"
    nursery.cancel_scope.cancel()


async def test_a_pin_that_is_too_old_is_not_sent(
    clock: Callable[[], int], make_delivery: MakeDelivery, nursery: trio.Nursery
) -> None:
    gateway = FakeGateway()
    gateway.opened.set()
    courier = courier_for(gateway, clock)
    courier.reserve()
    courier.post(make_delivery())
    clock.now += 600_000  # type: ignore[attr-defined]
    with structlog.testing.capture_logs() as logs:
        nursery.start_soon(courier.run)
        await wait_all_tasks_blocked()
    assert gateway.taken == []
    assert courier.statistics().too_old == 1
    assert "314159" not in str(logs)
    nursery.cancel_scope.cancel()


async def test_the_printing_gateway_prints_one_marked_line(make_delivery: MakeDelivery) -> None:
    output = io.StringIO()
    async with PrintingGateway(output) as gateway:
        await gateway.deliver(make_delivery())
    line = output.getvalue()
    assert line.startswith("PIN +15551230001 314159 (valid for 600 s")
    assert line.count("\n") == 1
    assert gateway.statistics() == {"printed": 1}


def test_a_delivery_does_not_show_its_pin(make_delivery: MakeDelivery) -> None:
    assert "314159" not in repr(make_delivery())
