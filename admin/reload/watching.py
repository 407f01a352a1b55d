"""Reloads that are in effect, and those of them that are watched still: what is remembered to take them back.

This module must never judge, nor touch code.
"""

from collections import deque

import attrs

from admin.reload.health import PICTURES, Pulse
from admin.reload.sources import Sources
from admin.reload.swapping import Applied


@attrs.frozen(eq=False)
class Done:
    """A reload that is in effect. plan: its id. before: the sources that ran until then. modules: what it replaced →
    version.
    """

    number: int
    plan: str
    applied: Applied
    before: Sources
    modules: dict[str, str]


@attrs.define(eq=False)
class Watch:
    """One under way. before: pictures of the time before the change, which stay what it is compared with, also when
    another change follows.
    """

    done: Done
    before: tuple[Pulse, ...]
    until_s: float
    after: deque[Pulse] = attrs.Factory(lambda: deque(maxlen=PICTURES))
