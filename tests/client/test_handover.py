"""Messages between state and app: each once, in order, however pages and arrivals interleave."""

import trio
from hypothesis import given
from hypothesis import strategies as st

from client.handover import Handover
from client.records import StoredMessage


def message(id_: int) -> StoredMessage:
    return StoredMessage(id_, 1, b"streams!", id_, False, 0, b"")


@given(
    before=st.integers(0, 7),
    limit=st.integers(1, 4),
    steps=st.lists(st.sampled_from(["commit", "announce", "next"]), max_size=60),
    during=st.lists(st.integers(0, 3), max_size=20),
)
def test_each_once_and_in_order(before: int, limit: int, steps: list[str], during: list[int]) -> None:
    stored = [message(id_) for id_ in range(1, before + 1)]
    announced = before
    handed: list[int] = []

    def announce() -> None:
        nonlocal announced
        if announced < len(stored):
            handover.arrived(stored[announced])
            announced += 1

    async def read(after: int, count: int) -> list[StoredMessage]:
        page = [one for one in stored if one.id > after][:count]
        for _ in range(during.pop() if during else 0):  # while the page is on its way from the thread
            stored.append(message(len(stored) + 1))
            announce()
        return page

    handover = Handover(read, limit, behind=before > 0)

    async def take() -> bool:
        found = await handover.next()
        if found is not None:
            handed.append(found.id)
        return found is not None

    async def main() -> None:
        for step in steps:
            if step == "commit":
                stored.append(message(len(stored) + 1))
            elif step == "announce":
                announce()
            else:
                await take()
        while announced < len(stored):
            announce()
        while await take():
            pass

    trio.run(main)
    assert handed == list(range(1, len(stored) + 1))


async def test_what_a_page_brought_is_not_given_again_when_it_is_announced() -> None:
    async def read(after: int, count: int) -> list[StoredMessage]:
        return [message(id_) for id_ in (1, 2, 3) if id_ > after][:count]

    handover = Handover(read, 4, behind=True)
    assert await handover.next() == message(1)
    handover.arrived(message(3))  # committed before the page was read, announced after
    assert [await handover.next(), await handover.next(), await handover.next()] == [
        message(2),
        message(3),
        None,
    ]


async def test_what_is_put_back_is_the_next_again() -> None:
    async def read(after: int, count: int) -> list[StoredMessage]:
        return []

    handover = Handover(read, 5, behind=False)
    for id_ in (1, 2):
        handover.arrived(message(id_))
    first = await handover.next()
    assert first is not None
    handover.put_back(first)
    assert [(await handover.next()), (await handover.next()), (await handover.next())] == [
        message(1),
        message(2),
        None,
    ]
