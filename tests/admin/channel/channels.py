"""A channel beside a node in this process, and clients that use it from threads, as terminals do."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import attrs
import trio
import zmq

from admin.channel import messages
from admin.channel.client import Client, Target
from admin.channel.desk import Tell
from admin.channel.folder import Folder
from admin.channel.keyring import Asker, allow
from admin.channel.place import Endpoint, Place
from admin.channel.server import AdminServer
from admin.channel.settings import AdminSettings
from admin.commands.table import Command, CommandError, Context, Role
from replication.zeromq.adapter import Socket
from replication.zeromq.keys import Keys, make_keys

GIVE_UP_S = 10.0
NOW = 1_800_000_000.0


def command(name: str, run: Any, role: Role = Role.VIEWER, **more: Any) -> Command:
    return Command(name=name, role=role, summary="Does.", help="Does.", example=name, run=run, **more)


async def _echo(context: Context, arguments: Mapping[str, Any]) -> Any:
    return {"asker": context.asker, "role": context.role.title}


async def _change(context: Context, arguments: Mapping[str, Any]) -> Any:
    return "changed"


async def _load(context: Context, arguments: Mapping[str, Any]) -> Any:
    return "loaded"


async def _fail(context: Context, arguments: Mapping[str, Any]) -> Any:
    raise CommandError("it can't: try another")


async def _crash(context: Context, arguments: Mapping[str, Any]) -> Any:
    raise RuntimeError("with a secret in its text")


async def _wait(context: Context, arguments: Mapping[str, Any]) -> Any:
    context.tell("waiting")
    await trio.sleep_forever()


async def _odd(context: Context, arguments: Mapping[str, Any]) -> Any:
    return object()


async def _large(context: Context, arguments: Mapping[str, Any]) -> Any:
    return "x" * 5_000_000


async def _count(context: Context, arguments: Mapping[str, Any]) -> Any:
    for number in range(3):
        context.tell({"number": number})
    return 3


COMMANDS = (
    command("echo", _echo),
    command("change", _change, Role.OPERATOR),
    command("load code", _load, Role.DEPLOYER),
    command("fail", _fail),
    command("crash", _crash),
    command("wait", _wait),
    command("odd", _odd),
    command("large", _large),
    command("count", _count),
)


@attrs.define
class Channel:
    """A channel that serves; `keys` by the name of a role are on its list."""

    server: AdminServer
    folder: Folder
    place: Place
    keys: dict[str, Keys]

    @property
    def node_key(self) -> str:
        return self.folder.node_public.read_text().strip()

    def target(self, keys: Keys | str) -> Target:
        return Target(self.place, self.keys[keys] if isinstance(keys, str) else keys, self.node_key)

    async def ask(self, *words: str, by: Keys | str = "deployer", **more: Any) -> Any:
        """As a new terminal of this key."""

        def talk() -> Any:
            with Client(self.target(by)) as client:
                return client.ask(words, **{"seconds_max": GIVE_UP_S / 2, **more})

        with trio.fail_after(GIVE_UP_S):
            return await trio.to_thread.run_sync(talk)

    def counted(self, *names: str) -> Any:
        found: Any = self.server.statistics()
        for name in names:
            found = found[name]
        return found

    async def until(self, *names: str, at_least: int = 1) -> None:
        """A count is reached."""
        with trio.fail_after(GIVE_UP_S):
            while self.counted(*names) < at_least:  # noqa: ASYNC110 - ZeroMQ's thread brings it about
                await trio.sleep(0.01)

    def audited(self, name: str = "audit.log") -> list[dict[str, Any]]:
        path = self.folder.path / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@asynccontextmanager
async def channel_on(
    data: Path, commands: tuple[Command, ...] = COMMANDS, **settings: Any
) -> AsyncIterator[Channel]:
    """A channel in a new directory, with a key for each role, and no node behind it."""
    folder = Folder.of(data)

    def context(asker: Asker, tell: Tell) -> Context:
        return Context(
            node=None,  # type: ignore[arg-type]  # these commands don't look at one
            asker=asker.name,
            role=asker.role,
            clock=lambda: NOW,
            tell=tell,
        )

    server = AdminServer(AdminSettings(**settings), data, commands, context, lambda: NOW)
    keys = {role.title: make_keys() for role in Role}
    for role in Role:
        allow(folder.authorised, Asker(f"the-{role.title}", role, keys[role.title].public))
    server._refresh()
    async with trio.open_nursery() as nursery:
        place = await nursery.start(server.run)
        yield Channel(server, folder, place, keys)
        nursery.cancel_scope.cancel()


class RawClient:
    """A client without our code: says what a test wants it to. Keys None: without encryption."""

    def __init__(self, channel: Channel, keys: Keys | None, **options: Any) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._endpoint = Endpoint(channel.place)
        raw = self._context.socket(zmq.DEALER)
        raw.setsockopt(zmq.LINGER, 0)
        raw.setsockopt(zmq.SNDHWM, 100_000)
        raw.setsockopt(zmq.RCVHWM, 100_000)
        raw.setsockopt(zmq.RECONNECT_IVL, -1)
        if keys is not None:
            raw.curve_publickey, raw.curve_secretkey = keys.public.encode(), keys.secret.encode()
            raw.curve_serverkey = channel.node_key.encode()
        for name, value in options.items():
            setattr(raw, name, value)
        raw.connect(self._endpoint.address.endpoint())
        self.socket = Socket(raw)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self._context.term()
        self._endpoint.close()

    def push(self, *frames: bytes) -> bool:
        """Whether ZeroMQ has a connection left to send it on."""
        try:
            self.socket.raw.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    async def send(self, *frames: bytes) -> None:
        with trio.fail_after(GIVE_UP_S):
            while not self.push(*frames):
                await self.socket.wait(int(zmq.POLLOUT))

    async def answer(self) -> messages.Answer:
        with trio.fail_after(GIVE_UP_S):
            (frames,) = await self.socket.receive(1)
        return messages.read_answer(frames[0].bytes)
