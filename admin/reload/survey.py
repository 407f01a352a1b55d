"""Which modules differ at all between what runs and what is there, and which of them may be replaced.

Texts and files are compared as wholes here; what is in them is `difference`'s part.
"""

from collections.abc import Sequence
from typing import Any

import attrs

from admin.reload.draft import Refusal
from admin.reload.policy import rule_of
from admin.reload.sources import Sources


@attrs.frozen
class Survey:
    """changed: to be compared. later: those that take effect at the next start. gone: run, and have no file."""

    changed: tuple[str, ...]
    later: tuple[str, ...]
    gone: tuple[str, ...]
    refusals: tuple[Refusal, ...]


def survey_of(runs: Sources, there: Sources, loaded: Sequence[str]) -> Survey:
    """
    Args:
        loaded: modules of ours that are in the running process. What isn't loaded can't be stale.
    """
    changed: list[str] = []
    later: list[str] = []
    gone: list[str] = []
    refusals = []
    for name in loaded:
        source = there.modules.get(name)
        if source is not None and source.version == runs.modules[name].version:
            continue
        rule = rule_of(name)
        if rule is None and source is None:
            gone.append(name)
        elif rule is None:
            changed.append(name)
        elif rule.verdict == "later":
            later.append(name)
        else:
            refusals.append(Refusal(name, "", rule.cause))
    return Survey(tuple(changed), tuple(later), tuple(gone), (*refusals, *_data(runs, there)))


def _data(runs: Sources, there: Sources) -> list[Refusal]:
    """Files besides Python's: what is made of them was made when the node started."""
    refusals = []
    for name in sorted(runs.data.keys() | there.data.keys()):
        module = name.rpartition(".")[0].replace("/", ".")
        rule = rule_of(module)
        if runs.data.get(name) == there.data.get(name) or (rule is not None and rule.verdict == "later"):
            continue
        native = name.endswith((".so", ".pyd"))
        cause = (
            "a C extension: a process can't load another one in its place"
            if native
            else "a file of data changed, which is read when the node starts"
        )
        refusals.append(Refusal(module, "", cause if rule is None else rule.cause))
    return refusals


def request_of(survey: Survey, runs: Sources, there: Sources, loaded: Sequence[str]) -> dict[str, Any]:
    """What the inspecting process is told: plain data."""
    return {
        "new": {name: one.text for name, one in there.modules.items()},
        "old": {name: runs.modules[name].text for name in survey.changed},
        "paths": {name: one.path for name, one in there.modules.items()},
        "versions": {
            name: (runs.modules[name].version if name in runs.modules else "", one.version)
            for name, one in there.modules.items()
        },
        "changed": list(survey.changed),
        "loaded": [name for name in loaded if name in there.modules],
    }
