"""The command gateway against real programs."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from node.accounts.command import CommandGateway
from node.accounts.errors import GatewayFailed
from node.accounts.gateway import Delivery
from node.accounts.settings import CommandSettings

MakeDelivery = Callable[..., Delivery]


def gateway_running(tmp_path: Path, source: str, *arguments: str, **options: float) -> CommandGateway:
    program = tmp_path / "program.py"
    program.write_text(source)
    command = (sys.executable, "-I", str(program), *arguments)
    return CommandGateway(CommandSettings(program=command, **options))  # type: ignore[arg-type]


async def test_the_number_is_an_argument_and_the_pin_only_on_standard_input(
    tmp_path: Path, make_delivery: MakeDelivery
) -> None:
    seen = tmp_path / "seen"
    gateway = gateway_running(
        tmp_path,
        "import os, sys\n"
        "print(sys.argv[2:], sys.stdin.read(), sorted(os.environ), os.getcwd(), file=open(sys.argv[1], 'w'))\n",
        str(seen),
        "--sender=x; rm -rf $HOME",
    )
    async with gateway:
        await gateway.deliver(make_delivery())
    arguments, rest = seen.read_text().split("]", 1)
    assert arguments == "['--sender=x; rm -rf $HOME', '+15551230001'", "no shell has seen it"
    assert rest.startswith(" 314159\n")
    environment = set(rest.split("[")[1].split("]")[0].replace("'", "").split(", "))
    assert environment <= {"LANG", "LC_CTYPE", "PATH"}, "the node's own environment is not handed on"
    assert rest.endswith(" /\n")


async def test_a_program_that_fails_is_named_with_its_status_and_nothing_it_said(
    tmp_path: Path, make_delivery: MakeDelivery, capfd: pytest.CaptureFixture[str]
) -> None:
    gateway = gateway_running(
        tmp_path, "import sys; pin = sys.stdin.read(); print(pin); print(pin, file=sys.stderr); sys.exit(3)"
    )
    async with gateway:
        with pytest.raises(GatewayFailed, match="status 3") as failure:
            await gateway.deliver(make_delivery())
    assert "314159" not in str(failure.value)
    assert capfd.readouterr() == ("", "")


async def test_a_program_that_does_not_read_its_input_may_still_succeed(
    tmp_path: Path, make_delivery: MakeDelivery
) -> None:
    gateway = gateway_running(tmp_path, "import os; os.close(0)")
    async with gateway:
        await gateway.deliver(make_delivery())
    assert gateway.statistics() == {"runs": 1, "timeouts": 0}


async def test_a_program_that_is_not_there_is_said_so(make_delivery: MakeDelivery) -> None:
    gateway = CommandGateway(CommandSettings(program=("/nonexistent/send-sms",)))
    async with gateway:
        with pytest.raises(GatewayFailed, match=r"/nonexistent/send-sms can't be run \(No such file"):
            await gateway.deliver(make_delivery())


STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    with open(sys.argv[1], "w") as pipe:
        print(os.getpid(), child, file=pipe)
while True:
    time.sleep(1)
"""


async def test_a_program_that_takes_too_long_is_ended_with_all_it_started(
    tmp_path: Path, make_delivery: MakeDelivery
) -> None:
    pids = tmp_path / "pids"
    os.mkfifo(pids)
    gateway = gateway_running(tmp_path, STUBBORN, str(pids), timeout_s=1.0, kill_after_s=0.1)
    started: list[int] = []

    async def read_pids() -> None:
        line = await trio.to_thread.run_sync(pids.read_text)
        started.extend(int(pid) for pid in line.split())

    async with gateway, trio.open_nursery() as nursery:
        nursery.start_soon(read_pids)
        with pytest.raises(GatewayFailed, match="longer than 1 s"):
            await gateway.deliver(make_delivery())
    assert len(started) == 2
    for pid in started:
        with trio.fail_after(10):
            while _runs(pid):
                await trio.lowlevel.checkpoint()
    assert gateway.statistics() == {"runs": 1, "timeouts": 1}


def _runs(pid: int) -> bool:
    """A killed orphan may stay a zombie until whoever adopted it looks."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
