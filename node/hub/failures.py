"""Exceptions of the handler, logged without what they say: their text may quote what a phone sent."""

from __future__ import annotations

import structlog

REPEAT_S = 60  # the same failure is logged again after so long, with how often it came meanwhile
KINDS_MAX = 256  # failures told apart; when full, all may be logged anew
FRAMES_MAX = 6

_log = structlog.get_logger("node.hub")


class FailureLog:
    """Logs a failure once, and its repetitions once a minute."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], list[int]] = {}  # (type, place) → [tick logged, repetitions since]

    def log(self, error: BaseException, during: str, tick: int) -> bool:
        """Whether it was logged, or only counted."""
        kind = (type(error).__qualname__, during)
        places = _places(error)
        key = (kind[0], places[-1] if places else during)
        seen = self._seen.get(key)
        if seen is not None and tick - seen[0] < REPEAT_S:
            seen[1] += 1
            return False
        if len(self._seen) >= KINDS_MAX:
            self._seen.clear()
        self._seen[key] = [tick, 0]
        _log.error(
            "connection_failed",
            during=during,
            error=kind[0],
            at=places[-FRAMES_MAX:],
            repeated=seen[1] if seen else 0,
        )
        return True


def _places(error: BaseException) -> list[str]:
    """The traceback as places in the code, outermost first."""
    places: list[str] = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        places.append(f"{code.co_filename}:{step.tb_lineno} {code.co_qualname}")
        step = step.tb_next
    return places
