"""What can be wrong with the channel's files and address, and with asking. Each says what happened and what to do."""


class ChannelError(Exception):
    """Base. `cause` says what happened, `remedy` what to do."""

    remedy = "see docs/operations.md"

    def __init__(self, cause: str, remedy: str = "") -> None:
        self.cause = cause
        if remedy:
            self.remedy = remedy
        super().__init__(f"{cause} — {self.remedy}")


class KeysDamaged(ChannelError):
    """The list of keys can't be read."""

    remedy = "correct the line, one for each key: ROLE NAME PUBLIC-KEY"


class KeysExposed(ChannelError):
    """Others may write the list of keys: whoever writes it can run any command."""

    remedy = "look for keys that don't belong there, then chmod 600 the file"


class KeyNameTaken(ChannelError):
    """A key of that name, or the key itself, is in the list."""

    remedy = "choose another name, or revoke the old one first"


class KeyNameUnknown(ChannelError):
    """No key of that name is in the list."""

    remedy = "see which there are: waystation admin-key list"


class PlaceUnusable(ChannelError):
    """The channel's address can't be listened on, or isn't one."""

    remedy = "set admin.listen to host:port, [IPv6]:port or ipc:///path"


class RosterUnusable(ChannelError):
    """There is no list of nodes, or a mistake in it."""

    remedy = "name with --nodes a file of nodes, or the directory that holds their data directories"


class NotReached(ChannelError):
    """The node doesn't answer."""

    remedy = "is it running, is admin.enabled set, and is this its directory or address?"


class NotAllowed(ChannelError):
    """The node doesn't know this key, or isn't the node it was taken for."""

    remedy = "have the key allowed (waystation admin-key allow), and compare the node's public key"


class Refused(Exception):
    """The node's own words about why it doesn't do what it was asked. other_node: because that is for another one."""

    def __init__(self, text: str, *, other_node: bool = False) -> None:
        super().__init__(text)
        self.other_node = other_node
