"""What can be wrong with a reload: each with its cause and what to do."""

from pathlib import Path


class ReloadError(Exception):
    """It was not done. Nothing was touched, unless the error says otherwise."""


class NoSources(ReloadError):
    """The new version can't be read."""

    def __init__(self, root: Path, cause: str) -> None:
        super().__init__(f"{root} can't be read as a version of Waystation: {cause}")


class ReloadBusy(ReloadError):
    """One reload at a time."""

    def __init__(self) -> None:
        super().__init__("another reload is under way: wait for its end")


class InspectionFailed(ReloadError):
    """The process that looks at the new version did not come to an end."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"the new version could not be inspected: {cause}")


class SourcesMoved(ReloadError):
    """Files were written while they were looked at."""

    def __init__(self, what: str) -> None:
        super().__init__(f"files changed meanwhile ({what}): plan again when all are in place")


class HistoryNotWritten(ReloadError):
    """What is about to be done can't be written down."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"its history can't be written ({cause}), so nothing was touched: make room on the disk"
        )


class NothingToReload(ReloadError):
    def __init__(self) -> None:
        super().__init__("what runs is what is there: nothing differs")


class ReloadRefused(ReloadError):
    """The plan has something in it that can't be loaded. `refusals`: as plain data."""

    def __init__(self, refusals: list[dict[str, str]]) -> None:
        first = refusals[0]
        what = ".".join(filter(None, (first["module"], first["name"])))
        more = f" (and {len(refusals) - 1} more: see reload plan)" if len(refusals) > 1 else ""
        super().__init__(f"refused, nothing was touched: {what}: {first['cause']}: {first['remedy']}{more}")
        self.refusals = refusals


class SwapFailed(ReloadError):
    """New code failed while it was put in place; all was taken back."""

    def __init__(self, module: str, cause: BaseException) -> None:
        super().__init__(f"{module} failed while it was put in place, and all was taken back: {cause!r}")


class HubTooBusy(ReloadError):
    def __init__(self) -> None:
        super().__init__("too much waits for the hub's next batch: nothing was touched; try again")


class HubGone(ReloadError):
    def __init__(self) -> None:
        super().__init__(
            "the node is ending, or is handing over to another process: nothing was touched; ask again when it serves"
        )


class NothingToRollBack(ReloadError):
    def __init__(self) -> None:
        super().__init__("nothing was reloaded since the node started, or all of it was rolled back")


class NoWayBack(ReloadError):
    """Live state was changed by a `code_change` that has no inverse."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} has no `code_change_back`: reload a version that brings its objects back, or restart"
        )
