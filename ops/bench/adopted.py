"""A process that isn't a child of this one, with the part of `subprocess.Popen` that those need who own a node: one
that took another's place was begun by that one. Linux only.
"""

import os
import select
import signal
import subprocess
from contextlib import suppress

KILL_S_MAX = 10.0


class Adopted:
    """By its id. Its exit code is its parent's to know: it is told as 0.

    Raises:
        ProcessLookupError: there is none.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._fd = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self.returncode

    def wait(self, timeout: float = KILL_S_MAX) -> int:
        """Until it has ended.

        Raises:
            subprocess.TimeoutExpired
        """
        if self.returncode is None:
            if not select.select([self._fd], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            os.close(self._fd)
            self.returncode = 0
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing happens if it has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._fd, number)

    def kill(self) -> None:
        """The same."""
        self.send_signal(signal.SIGKILL)
