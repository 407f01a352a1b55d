"""The gateway that runs a program of the operator's for each PIN.

The number is the last argument, the PIN one line on standard input; it is never among the arguments or in the
environment, which other users of the machine can read. No shell is involved. The program's output is
dropped, for it may repeat the PIN; exit status 0 means that the PIN is on its way.
"""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress

import trio

from node.accounts.errors import GatewayFailed
from node.accounts.gateway import Delivery, KeepsNothingOpen
from node.accounts.settings import CommandSettings


class CommandGateway(KeepsNothingOpen):
    """`gateway = "command"`. How many programs run at once is the courier's limit."""

    name = "command"

    def __init__(self, settings: CommandSettings) -> None:
        assert settings.program, "AccountsSettings has checked this"
        self._settings = settings
        self._runs = 0
        self._timeouts = 0

    async def deliver(self, delivery: Delivery) -> None:
        """Run the program; cancelling ends it and what it started."""
        self._runs += 1
        program = self._settings.program[0]
        with trio.move_on_after(self._settings.timeout_s) as limit:
            try:
                done = await trio.run_process(
                    [*self._settings.program, delivery.number],
                    stdin=f"{delivery.pin}\n".encode(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
                    cwd="/",
                    check=False,
                    start_new_session=True,
                    deliver_cancel=self._end,
                )
            except OSError as error:
                reason = os.strerror(error.errno) if error.errno else type(error).__name__
                raise GatewayFailed(
                    f"{program} can't be run ({reason}): check program and its mode"
                ) from None
        if limit.cancelled_caught:
            self._timeouts += 1
            raise GatewayFailed(
                f"{program} took longer than {self._settings.timeout_s:g} s: raise timeout_s or mend it"
            )
        if done.returncode != 0:
            raise GatewayFailed(f"{program} ended with status {done.returncode}: see its own log")

    async def _end(self, process: trio.Process) -> None:
        """End the program's whole session: first politely, then surely."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with trio.move_on_after(self._settings.kill_after_s):
            await process.wait()
        with suppress(ProcessLookupError):  # what it started may have outlived it
            os.killpg(process.pid, signal.SIGKILL)

    def statistics(self) -> Mapping[str, int]:
        return {"runs": self._runs, "timeouts": self._timeouts}
