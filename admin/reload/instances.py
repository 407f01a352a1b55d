"""Live objects of a class: all of them, as the garbage collector lists them.

Whatever has attributes is on its lists, but for what was there when the node froze these (`gc.freeze` at the start,
before anything is made of the configuration): that is what modules made when they were imported. Walking through the
node instead took half a second with 10,000 sessions, and nobody could be sure that all were met. This module must
never change what it finds.
"""

import gc
import sys
from collections.abc import Iterator, Sequence
from typing import Any


def instances_of(what: type, packages: Sequence[str]) -> list[Any]:
    """Each once, those of subclasses too. Called while the node stands still: nothing is made meanwhile.

    Args:
        packages: of whose modules the names are looked at as well.
    """
    kinds = frozenset(_kinds(what))
    found = {id(one): one for one in gc.get_objects() if type(one) in kinds}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in packages:
            found.update((id(one), one) for one in list(vars(module).values()) if type(one) in kinds)
    return list(found.values())


def _kinds(what: type) -> Iterator[type]:
    yield what
    below: type
    for below in type.__subclasses__(what):
        yield from _kinds(below)
