"""Live objects of a class, found by walking from what a node consists of.

The garbage collector doesn't know them all: a node freezes what it has at its start. This module must never change
what it finds.
"""

import functools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from types import FunctionType, MethodType
from typing import Any, Final

from admin.reload.errors import ReloadError

VISITS_MAX: Final = 200_000
"""Objects looked at. It is done while the node stands still: more of them would be felt."""
CONTAINERS: Final = (tuple, list, set, frozenset, deque)
ATOMS: Final = (str, bytes, int, float, complex, type(None), type)


class TooManyObjects(ReloadError):
    def __init__(self, what: type) -> None:
        super().__init__(
            f"the node holds more than {VISITS_MAX} objects to look through for those of {what.__qualname__}:"
            " restart it instead"
        )


def instances_of(roots: Iterable[Any], what: type, packages: Sequence[str]) -> list[Any]:
    """Each once, in the order in which they are met.

    Args:
        packages: whose objects are looked into; containers, functions and bound methods always are.

    Raises:
        TooManyObjects
    """
    found = []
    seen: set[int] = set()
    left = deque(roots)
    while left:
        one = left.popleft()
        if isinstance(one, ATOMS) or id(one) in seen:
            continue
        seen.add(id(one))
        if len(seen) > VISITS_MAX:
            raise TooManyObjects(what)
        if isinstance(one, what):
            found.append(one)
        left.extend(_held(one, packages))
    return found


def _held(one: Any, packages: Sequence[str]) -> Iterator[Any]:
    if isinstance(one, dict):
        yield from one.keys()
        yield from one.values()
    elif isinstance(one, CONTAINERS):
        yield from one
    elif isinstance(one, MethodType):
        yield one.__self__
    elif isinstance(one, functools.partial):
        yield from (one.func, *one.args, *one.keywords.values())
    elif isinstance(one, FunctionType):
        for cell in one.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # nothing is in it yet
                continue
    if type(one).__module__.partition(".")[0] in packages:
        yield from getattr(one, "__dict__", {}).values()
        for base in type(one).__mro__:
            for slot in _slots(base):
                yield getattr(one, slot, None)


def _slots(base: type) -> Iterable[str]:
    slots = vars(base).get("__slots__", ())
    return (
        [slots]
        if isinstance(slots, str)
        else [one for one in slots if one not in ("__weakref__", "__dict__")]
    )
