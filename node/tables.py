"""The group `users`: all that is kept of a user is one group, so one claim of a partition covers accounts and mail, one
takeover brings both, and the wipe after a registration stays on the node that wrote it.

Its tables belong to the packages that write them. A node that stands alone has the same group, with what a replica must
remember left empty: such a directory can become a cluster's first one. This module must never read or write a row.
"""

from typing import Final

from node.accounts.tables import GROUP as ACCOUNTS
from node.mail.reconcile import Reconcile
from node.mail.tables import MAIL
from replication.tables import CLUSTER, replicated
from store.schema import Group

USERS: Final = Group("users", (*ACCOUNTS.tables, *MAIL.tables), reconcile=Reconcile())
"""Keys begin with the partition: the user's of an account and a PIN, and see `node.mail.tables`."""

GROUPS: Final = (CLUSTER, replicated(USERS))
"""What a data directory has."""
STORE_DIRECTORY: Final = "store"
"""Where in a data directory."""
