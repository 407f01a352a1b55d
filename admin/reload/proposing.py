"""From what runs and what is on disk to a plan: reads, has it inspected elsewhere, and looks that nothing moved.

Nothing of the running program is touched here.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import attrs
import trio

from admin.reload.checking import inspect_elsewhere
from admin.reload.draft import Draft
from admin.reload.errors import SourcesMoved
from admin.reload.instances import instances_of
from admin.reload.planning import Plan, make_plan
from admin.reload.sources import Sources, read_sources
from admin.reload.survey import request_of, survey_of
from admin.reload.suspended import suspended
from node.hub.memory import give_back_memory


async def plan_of(
    runs: Sources, root: Path, packages: Sequence[str], loaded: Sequence[str]
) -> tuple[Plan, Sources]:
    """What differs, and the sources it comes from.

    Args:
        runs: the sources of what runs. root: the new version. loaded: modules of ours that are imported.

    Raises:
        NoSources, InspectionFailed, SourcesMoved
    """
    there = await trio.to_thread.run_sync(read_sources, root, packages, runs)
    survey = survey_of(runs, there, loaded)
    draft = Draft(refusals=survey.refusals)
    if survey.changed and not survey.refusals:
        draft = await inspect_elsewhere(request_of(survey, runs, there, loaded))
        again = await trio.to_thread.run_sync(read_sources, root, packages, there)
        await trio.to_thread.run_sync(give_back_memory)  # of texts and what was made of them
        if again.version != there.version:
            raise SourcesMoved(str(root))
    plan = make_plan(
        draft,
        id=there.version,
        came_from=runs.version,
        root=str(root),
        paths={name: one.path for name, one in there.modules.items()},
        suspended=suspended(),
        instances=lambda what: instances_of(what, packages),
        later=survey.later,
        gone=survey.gone,
    )
    return plan, there


def with_draft(runs: Sources, there: Sources, draft: Draft) -> Sources:
    """What runs once the draft is in place."""
    changed = {one.name: there.modules[one.name] for one in draft.modules}
    return attrs.evolve(runs, modules={**runs.modules, **changed})


async def import_outside(names: Sequence[str]) -> None:
    """What new code needs of others is imported beforehand, in a thread: it may take long, and replaces nothing."""
    fresh = [name for name in names if name not in sys.modules]
    if fresh:
        await trio.to_thread.run_sync(lambda: [__import__(name) for name in fresh])
