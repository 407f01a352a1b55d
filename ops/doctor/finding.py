"""What a check found: how it is, and what to do."""

from __future__ import annotations

import enum
from typing import Any

import attrs


class Verdict(enum.IntEnum):
    """The worst of an examination is its exit status, but that 0 is also for what couldn't be looked at."""

    SKIPPED = -1
    GOOD = 0
    WARNING = 1
    BAD = 2


@attrs.frozen
class Finding:
    """about: what was looked at. text: what was found. remedy: what to do, where there is something to do."""

    about: str
    verdict: Verdict
    text: str
    remedy: str = ""

    def __attrs_post_init__(self) -> None:
        assert self.remedy or self.verdict <= Verdict.GOOD, f"{self.text}: say what to do"

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "about": self.about,
            "verdict": self.verdict.name.lower(),
            "text": self.text,
            "remedy": self.remedy,
        }


def good(about: str, text: str) -> Finding:
    return Finding(about, Verdict.GOOD, text)


def skipped(about: str, text: str) -> Finding:
    """It couldn't be looked at, or there is nothing to look at."""
    return Finding(about, Verdict.SKIPPED, text)


def warning(about: str, text: str, remedy: str) -> Finding:
    return Finding(about, Verdict.WARNING, text, remedy)


def bad(about: str, text: str, remedy: str) -> Finding:
    return Finding(about, Verdict.BAD, text, remedy)
