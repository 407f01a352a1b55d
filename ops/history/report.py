"""From violations to something a person can act on: each with every line that speaks of its message.

The first pass over the files keeps no lines (a history may have millions). Only when a rule was broken does a
second pass collect the lines, and tell an altered message from one that was meant for somebody else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import attrs
from attrs import frozen

from ops.history.checker import Checker, Violation
from ops.history.format import Event
from ops.history.reader import Place, find_files, merge, read_file

LINES_SHOWN_MAX: Final = 30
VIOLATIONS_SHOWN_MAX: Final = 20


@frozen
class Explained:
    """A violation with the lines of its message, by the clock; `cut` when there were more of them."""

    violation: Violation
    lines: tuple[tuple[Place, str], ...]
    cut: bool


@frozen
class Report:
    """The verdict on a history. `rules` counts violations by rule; empty means that every promise held."""

    files: int
    events: dict[str, int]
    totals: dict[str, int]
    rules: dict[str, int]
    violations: tuple[Explained, ...]

    @property
    def good(self) -> bool:
        return not self.rules

    def as_json(self) -> dict[str, Any]:
        return {
            "good": self.good,
            "files": self.files,
            "events": self.events,
            "totals": self.totals,
            "rules": self.rules,
            "violations": [
                {
                    "rule": each.violation.rule,
                    "text": each.violation.text,
                    "to": each.violation.recipient,
                    "from": each.violation.sender,
                    "stream": each.violation.stream,
                    "n": each.violation.n,
                    "last": each.violation.last,
                    "lines": [{"file": str(p.path), "line": p.line, "text": text} for p, text in each.lines],
                    "cut": each.cut,
                }
                for each in self.violations
            ],
        }

    def as_text(self) -> str:
        said = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in self.totals.items())
        lines = [f"{sum(self.events.values())} events in {self.files} files: {said}"]
        for rule, count in sorted(self.rules.items()):
            lines.append(f"VIOLATED {rule}: {count}")
        for each in self.violations[:VIOLATIONS_SHOWN_MAX]:
            v = each.violation
            numbers = f"{v.n}" if v.last in (0, v.n) else f"{v.n}..{v.last}"
            about = f" — from {v.sender} to {v.recipient}, stream {v.stream}, n {numbers}" if v.sender else ""
            lines.append(f"\n{v.rule}: {v.text}{about}")
            lines.extend(f"  {place}  {text}" for place, text in each.lines)
            if each.cut:
                lines.append("  … and more lines of it")
        if len(self.violations) > VIOLATIONS_SHOWN_MAX:
            lines.append(
                f"\n… and {len(self.violations) - VIOLATIONS_SHOWN_MAX} more violations (--json: all)"
            )
        lines.append("every promise held" if self.good else "PROMISES BROKEN")
        return "\n".join(lines)


def check_files(paths: list[Path]) -> Report:
    """Check the history in these files and directories.

    Raises:
        UnreadableHistoryError: no files, or too many.
    """
    files = find_files(paths)
    checker = Checker()
    for index, line, event in merge(files):
        checker.feed(event, (index, line))
    checker.finish()
    explained = _explain(checker.violations, files) if checker.violations else ()
    rules: dict[str, int] = dict(checker.violated)
    for before, after in zip(checker.violations, explained, strict=True):
        if before.rule != after.violation.rule:  # told better on the second look
            rules[after.violation.rule] = rules.get(after.violation.rule, 0) + 1
            rules[before.rule] -= 1
            if not rules[before.rule]:
                del rules[before.rule]
    return Report(len(files), dict(checker.events), checker.totals(), rules, tuple(explained))


class _Story:
    """The lines that speak of one violation's message."""

    def __init__(self, violation: Violation) -> None:
        self.violation = violation
        self.lines: list[tuple[int, Place, str]] = []
        self.cut = False

    def add(self, at_ns: int, place: Place, text: str) -> None:
        if len(self.lines) < LINES_SHOWN_MAX:
            self.lines.append((at_ns, place, text))
        else:
            self.cut = True

    def told(self) -> Explained:
        self.lines.sort(key=lambda line: line[0])
        return Explained(self.violation, tuple(line[1:] for line in self.lines), self.cut)


def _explain(violations: list[Violation], files: list[Path]) -> list[Explained]:
    stories = [_Story(violation) for violation in violations]
    by_place: dict[tuple[int, int], list[_Story]] = {}
    by_pair: dict[tuple[int, int, str], list[_Story]] = {}
    by_hash: dict[str, list[_Story]] = {}
    for story in stories:
        v = story.violation
        if v.where is not None:
            by_place.setdefault(v.where, []).append(story)
        if v.n:
            by_pair.setdefault((v.recipient, v.sender, v.stream), []).append(story)
        if v.rule in ("ghost", "altered"):
            by_hash.setdefault(v.hash, []).append(story)
    for index, path in enumerate(files):
        for line, event in read_file(path):
            place = Place(path, line)
            told: list[_Story] = list(by_place.get((index, line), ()))
            if isinstance(event, Event):
                text, at_ns = _text(event), event.at_ns
                told.extend(_about(event, by_pair))
                if event.event in ("sent", "send-intent"):
                    for story in by_hash.get(event.hash, ()):
                        _look_again(story, event)
                        told.append(story)
            else:
                text, at_ns = event.text, 0
            for story in dict.fromkeys(told):
                story.add(at_ns, place, text)
    return [story.told() for story in stories]


def _about(event: Event, by_pair: dict[tuple[int, int, str], list[_Story]]) -> list[_Story]:
    if not event.n:
        return []
    stories = by_pair.get((event.recipient, event.sender, event.stream), ())
    if event.event == "read":  # up to its number
        return [story for story in stories if story.violation.n <= event.n]
    return [s for s in stories if s.violation.n <= event.end and event.n <= s.violation.last]


def _look_again(story: _Story, sent: Event) -> None:
    v = story.violation
    if sent.sender == v.sender and sent.recipient != v.recipient:
        text = f"it was sent to {sent.recipient}"
        story.violation = attrs.evolve(v, rule="misdelivered", text=text)


def _text(event: Event) -> str:
    about = []
    if event.user:
        about.append(f"user {event.user}")
    if event.sender:
        about.append(f"{event.sender} → {event.recipient}")
    if event.stream:
        about.append(event.stream)
    if event.n:
        about.append(f"n {event.n}" + (f"..{event.last}" if event.last else ""))
    named = ((name, getattr(event, name)) for name in ("hash", "kind", "code", "note"))
    about.extend(f"{name} {value}" for name, value in named if value)
    if event.how >= 0:
        about.append(f"how {event.how}")
    if event.late:
        about.append("late")
    return f"{event.process}#{event.order} at {event.at_ns / 1e9:.6f} {event.event}: {' '.join(about)}"
