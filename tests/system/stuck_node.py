"""`waystation`, but for one thing: a ping with the token 666 is never answered, and the loop stands still in it.

Started as a process by the test of the watchdog.
"""

import sys
import time
from typing import Any

from node import service, talk
from ops.command import main

TOKEN = 666
STUCK = "standing still"


def stuck_in_a_ping(node: Any, session: Any, frame: tuple[Any, ...]) -> None:
    if frame[2] == TOKEN:
        sys.stderr.write(f"{STUCK}\n")
        sys.stderr.flush()
    while frame[2] == TOKEN:
        time.sleep(0.01)
    talk.ping(node, session, frame)


if __name__ == "__main__":
    handlers = dict(service._GREETED)
    for verb, handle in handlers.items():
        if handle is talk.ping:
            handlers[verb] = stuck_in_a_ping
    service._GREETED = handlers
    main()
