"""What can be wrong with a change of the schema."""

from collections.abc import Mapping

from replication.core.errors import ReplicationError


class SchemaRefused(ReplicationError):
    """A change of the schema that makes no sense. Nothing was changed."""

    remedy = "look at the schema (Schema.groups), and ask for what is possible"


class TablesNotReady(ReplicationError):
    """Some tables could not be used in time."""

    remedy = "see with status which nodes hold their copies and which of them are up; or wait longer"


class TransformFailed(ReplicationError):
    """A transformation ended before the last record. Those before it are transformed.

    after: by partition, where to go on: for `Schema.transform_table`.
    """

    remedy = "mend the cause, and go on from where it ended (after=error.after)"

    def __init__(self, cause: str, after: Mapping[int, bytes]) -> None:
        super().__init__(cause)
        self.after = dict(after)
