"""Every error of the links: what happened, and what to do about it.

All of them are this node's own mistakes, or those of its configuration. What a peer does wrong is never one of these:
it ends that peer's link, is counted, and nothing else notices. No message carries a secret key or what was sent.
"""

from __future__ import annotations


class LinkError(Exception):
    """Base of all errors of the links. `cause` says what happened, `remedy` what the caller can do."""

    remedy = "see replication/zeromq/__init__.py"

    def __init__(self, cause: str, remedy: str = "") -> None:
        self.cause = cause
        if remedy:
            self.remedy = remedy
        super().__init__(f"{cause} — {self.remedy}")


# ---- what was to be sent ----------------------------------------------------------------------------


class MessageTooLarge(LinkError):
    """A message is larger than `message_bytes_max`. Nothing was queued."""

    remedy = "send it in parts (a commit this large can be pulled in chunks)"


class MessageNotSendable(LinkError):
    """A message isn't a list or tuple that begins with a code, or holds something that CBOR can't say without tags."""

    remedy = "send lists of int, bytes, str, bool, float, None and lists of these, the first one an int"


# ---- groups -----------------------------------------------------------------------------------------


class GroupUnknown(LinkError):
    """A group of that name isn't open here."""

    remedy = "open it first"


class GroupOpen(LinkError):
    """A group of that name is open already."""

    remedy = "close it first"


class TooManyGroups(LinkError):
    """More groups than one node announces."""

    remedy = "put tables that change together into one group"


class LinksClosed(LinkError):
    """The links don't run, or no longer."""

    remedy = "open groups while `run` runs"


# ---- the configuration ------------------------------------------------------------------------------


class AddressUnusable(LinkError):
    """An address can't be read, resolved, or listened on."""

    remedy = "write host:port, [IPv6]:port or ipc:///path, of this machine where the node is to listen"


class AddressInUse(LinkError):
    """Something else listens on the address, or on every port of the configured range."""

    remedy = "stop the other process, or configure another address or a larger range of ports"


class MembersUnusable(LinkError):
    """The list of members can't be right."""

    remedy = "list every node once, this one too, each with its own id, public key and address"


# ---- releases ---------------------------------------------------------------------------------------


class VersionsApart(LinkError):
    """The release of this node and that of another one have no version in common of what nodes say."""

    remedy = "start this node with the release that it ran before"


# ---- keys -------------------------------------------------------------------------------------------


class KeyFileExposed(LinkError):
    """Others may read the secret key of this node."""

    remedy = "chmod 600 the file; if others may have read it, remove it and tell the peers the new public key"


class KeyFileDamaged(LinkError):
    """The file of the secret key holds none."""

    remedy = "restore it from a backup, or remove it and tell the peers the new public key"
