"""Errors of an upgrade. Each says why, and what is the case now."""


class UpgradeError(Exception):
    """Any of the below."""


class SuccessorFailed(UpgradeError):
    """The new process didn't come up, or didn't take over. The old one serves on."""


class ChannelLost(UpgradeError):
    """The other process hung up, or said nothing in time, or nonsense."""


class HungUp(ChannelLost):
    """It hung up."""

    def __init__(self) -> None:
        super().__init__("the other process hung up")
