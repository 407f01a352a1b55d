"""The hub's errors. What concerns one connection is never one of these: it is that connection's close reason."""


class HubError(Exception):
    """Any of the below."""


class HubFull(HubError):
    """Too many functions wait for the next pass."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} functions already wait for the hub's next pass: the hub doesn't get to run, or its caller "
            "doesn't wait for answers. Find who is slow; soon_max can be raised."
        )


class HubStopped(HubError):
    """A hub runs once."""

    def __init__(self) -> None:
        super().__init__("this hub has stopped; make a new one")


class DescriptorsTooFew(HubError):
    """The limit on open files leaves room for next to no connection."""

    def __init__(self, allowed: int, reserved: int, least: int) -> None:
        super().__init__(
            f"this process may open {allowed} files, of which limits.descriptors_reserved keeps {reserved}: that "
            f"leaves fewer than {least} for connections. Raise the limit (ulimit -Hn; LimitNOFILE= of a systemd unit),"
            " or lower limits.descriptors_reserved."
        )
