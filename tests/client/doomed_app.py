"""An app to be killed: `python -m tests.client.doomed_app send|receive STATE ADDRESS`. Says what it has done."""

import sys

import anyio

from client.client import Client
from client.errors import OutboxFull
from client.trust import Plain
from tests.client.fake_server import FAST

BOB = "+15551230002"


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def send(state: str, address: str, first: int, last: int) -> None:
    async with Client.open(state, address, tls=Plain(), settings=FAST) as client:
        for at in range(first, last + 1):
            while True:
                try:
                    await client.send_text(BOB, str(at))
                    break
                except OutboxFull:
                    await client.unaccepted()[0].accepted()
            say("sent", at)
        for sent in client.unaccepted():
            await sent.accepted()
        say("done")


async def receive(state: str, address: str) -> None:
    async with Client.open(state, address, tls=Plain(), settings=FAST) as client:
        async for message in client.messages():
            say("handed", message.number, message.text)
            await message.ack()
            say("acked", message.number)


if __name__ == "__main__":
    what, state_path, server, *numbers = sys.argv[1:]
    if what == "send":
        first, last = map(int, numbers)
        anyio.run(send, state_path, server, first, last)
    else:
        anyio.run(receive, state_path, server, backend="trio")
