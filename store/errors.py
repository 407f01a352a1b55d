"""Every error of the store: what happened, and what to do about it.

Callers match on the class; people read the message. No message carries a value that was stored, since values
may be bodies of messages: tables, sizes and paths only.
"""

from __future__ import annotations


class StoreError(Exception):
    """Base of all errors of the store. `cause` says what happened, `remedy` what the caller can do."""

    remedy = "see docs/store.md"

    def __init__(self, cause: str, remedy: str = "") -> None:
        self.cause = cause
        if remedy:
            self.remedy = remedy
        super().__init__(f"{cause} — {self.remedy}")


# ---- the caller's mistakes: nothing was queued ------------------------------------------------------


class KeyNotStorable(StoreError):
    """A key holds something other than int, str, bytes, None or a tuple of these, or is too long."""

    remedy = "use a tuple of int, str, bytes, None and tuples of these, 511 bytes at most when encoded"


class ValueNotStorable(StoreError):
    """A value isn't CBOR-able, or is larger than `VALUE_BYTES_MAX`, or nested deeper than `VALUE_DEPTH_MAX`."""

    remedy = (
        "store None, bool, int, float, str, bytes, and lists and dicts of these: 16 MiB, 100 levels at most"
    )


class UnknownTable(StoreError):
    """A table or group of that name isn't declared, or is on disk and isn't declared."""

    remedy = "declare it in the Group given to Store.open, or run the release that wrote it"


class OtherPartition(StoreError):
    """A transaction that is kept to one partition writes to another one."""

    remedy = "divide keys so that what changes together is in one partition, or run one transaction in each"


class TableReadOnly(StoreError):
    """A write to a table or a store that is read-only."""

    remedy = "write to it where it is not read-only, or take it out of read-only mode"


class MergeUndeclared(StoreError):
    """A MERGE for a table that declares no merge."""

    remedy = "declare Table(merge=…) or use PUT"


class CorruptDump(StoreError):
    """A dump is cut off, altered, or no dump at all."""

    remedy = "make the dump again, or use an older one; nothing of it was loaded"


class TableExists(StoreError):
    """A table, or a group, of that name is there already."""

    remedy = "choose another name, or drop the other one first"


class TableNotEmpty(StoreError):
    """A table was to be dropped only if it is empty, and has rows."""

    remedy = "delete its rows first, or drop it with all that is in it"


class TooManyTables(StoreError):
    """A group has as many tables as it can have."""

    remedy = "drop one, wait until what was dropped is cleared away, or make another group"


class UnknownIndex(StoreError):
    """A table has no index of that name, or one that isn't complete yet."""

    remedy = "see `group.alterations()` for those being built, and add it if it isn't there"


class IndexExists(StoreError):
    """A table has an index of that name already, complete or being built."""

    remedy = "choose another name, or drop the other one first"


class UnknownMerge(StoreError):
    """A merge was declared by a name that this release has no merge for."""

    remedy = "choose one of store.merges.MERGES, or run the release that wrote it"


class NotDeclarable(StoreError):
    """A declaration can't be kept as plain data, or plain data isn't a declaration."""

    remedy = "declare indexes as FieldIndex and merges by name; functions can only be declared in code"


class NotConfirmed(StoreError):
    """Something that can't be undone was asked for without saying its name a second time."""

    remedy = "pass the name of what is to go as `confirm`"


# ---- passing conditions: try again -----------------------------------------------------------------


class StoreBusy(StoreError):
    """The queue of the committer or of the reader thread is full."""

    remedy = "answer busy to whoever asked and try again in a moment"


class AlterationUnderWay(StoreError):
    """The table is being altered in steps, or what is left of an alteration is still being cleared away."""

    remedy = (
        "wait for it (`await group.wait_altered()`), or drop the index that is being built; then try again"
    )


class GroupInUse(StoreError):
    """A group was to be dropped while something reads it (a snapshot, a backup)."""

    remedy = "let the reader end, then try again; the group takes no more writes meanwhile"


class StoreClosed(StoreError):
    """The store is closed or closing."""

    remedy = "open it again"


class DiskFull(StoreError):
    """The file system has no room (ENOSPC, EDQUOT or EFBIG). The submit left nothing behind."""

    remedy = (
        "free space on the file system of the data directory and try again; reads go on, no restart needed"
    )


class MapFull(StoreError):
    """The LMDB map of the group is full. The submit left nothing behind."""

    remedy = "restart with a larger [store] map_bytes, or delete rows; reads go on"


class SubmitTooLarge(StoreError):
    """One submit dirties more pages than one LMDB transaction can hold, or has too many rows."""

    remedy = "split it into several submits"


# ---- damage ----------------------------------------------------------------------------------------


class DamagedRecord(StoreError):
    """A record's checksum doesn't match what is stored."""

    remedy = "check the disk; fill this node again from its peers, or restore the latest backup"


class DamagedStore(StoreError):
    """A file of the store is cut off, overwritten or missing."""

    remedy = "check the disk; fill this node again from its peers, or restore the latest backup"


class DamagedPart(StoreError):
    """Records that a peer sent aren't what it packed; nothing of the submit was applied."""

    remedy = "ask the peer for them again; if it stays, check the disk and the release of the peer"


# ---- the directory isn't what was expected ---------------------------------------------------------


class DirectoryInUse(StoreError):
    """Another process holds this data directory."""

    remedy = "stop the other process, or give this one a data directory of its own"


class ForeignDirectory(StoreError):
    """The directory has files in it that aren't a store of Waystation."""

    remedy = "point the data directory at an empty or new directory"


class NoStore(StoreError):
    """There is no store where one must be (read-only open, backup source)."""

    remedy = "check the path"


class OlderFormat(StoreError):
    """The store was written in an older format than this release reads."""

    remedy = "dump it with the release that wrote it and load the dump with this one"


class NewerFormat(StoreError):
    """The store was written by a newer release."""

    remedy = "run that release, or restore a backup made by this one"


class SchemaChanged(StoreError):
    """A table on disk was declared in another way."""

    remedy = "give the table a new name, or dump and load into a new directory"


class TargetExists(StoreError):
    """A backup, restore or dump would overwrite something."""

    remedy = "name a path that doesn't exist yet"


# ---- the end ---------------------------------------------------------------------------------------


class StoreFatal(StoreError):
    """What was promised durable can't be made durable any more. The process must end."""

    remedy = "end this process, check the disk and the kernel log, then start again"


class SyncFailed(StoreFatal):
    """fsync or a write failed for another reason than a full disk.

    It is never retried: after a failed fsync the kernel may have dropped the pages and marked them clean, so that
    the next fsync says yes to data that isn't there (Rebello et al., "Can Applications Recover from fsync
    Failures?", USENIX ATC 2020).
    """


class CommitterDied(StoreFatal):
    """A defect ended the committer thread."""

    remedy = "end this process and start it again; report the defect with the traceback"
