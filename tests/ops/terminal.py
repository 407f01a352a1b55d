"""A command in a real terminal (tmux): keys are typed, the screen is read."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GIVE_UP_S = 30.0


class Terminal:
    """A command in a tmux of its own, whose socket is in `folder`."""

    def __init__(self, folder: Path, words: Sequence[str], *, width: int = 80, height: int = 24) -> None:
        self._tmux = ("tmux", "-S", str(folder / "tmux"), "-f", "/dev/null")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder), "TERM": "xterm"}
        size = ("-x", str(width), "-y", str(height))
        self._run("new-session", "-d", *size, *words, environment=environment)

    def _run(self, *words: str, environment: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            [*self._tmux, *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=GIVE_UP_S,
            check=False,
        )
        return done.stdout

    def type(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def until(self, condition: Callable[[str], bool]) -> str:
        """What is on the screen, once it is as it should be."""
        ends = time.monotonic() + GIVE_UP_S
        while not condition(screen := self._run("capture-pane", "-p")):
            assert time.monotonic() < ends, screen
            time.sleep(0.05)
        return screen

    def has_ended(self) -> bool:
        return not self._run("list-sessions")

    def kill(self) -> None:
        self._run("kill-server")
