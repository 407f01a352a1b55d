"""Tables on LMDB. Knows no network, no node, no message.

Declared and named:

- `schema`       what a group and its tables are declared to be (`Group`, `Table`, `Index`)
- `errors`       every error the store can give, each with its cause and its remedy
- `limits`       named limits and settings

As bytes:

- `keys`         ordered, self-describing, concatenative tuple keys
- `record`       a value as stored: version, payload, checksum
- `buckets`      where in `changes` the entries of a partition are
- `incarnation`  who this directory has been, so that a copy can't pass for its past

On disk and in memory:

- `memory`       how much a group may take to stay in memory
- `disk`         durable names, and a full disk called by its name
- `directory`    the marker file and the lock of a data directory
- `environment`  the narrow boundary to LMDB: opening, checking, translating its errors
- `ram`          the ordered maps behind `ram` tables
- `rows`         one ordered map of bytes, on disc or in memory, inside a transaction
- `state`, `groupstate`  the running state of a table and of a group
- `opening`      opening a group: is it ours, is its schema the declared one, who are we this time

Writing:

- `writes`       the operations that a caller hands over, and their encoding
- `work`         a unit of work: a transaction and what it has open
- `batch`        applying writes: versions, changes, indexes, tombstones
- `transaction`  what the function given to `transact` sees
- `committer`    many submits, one LMDB transaction; on a thread or inline
- `floor`        letting the committer work alone for a moment
- `results`, `waiting`  bringing results back to the loop through an eventfd; awaiting one
- `subscribe`    bounded subscriptions to a table

Reading:

- `reading`, `match`  what reads mean; patterns for `select`
- `snapshot`     reading at one moment
- `changes`      what changed in a partition since a sequence
- `cold`         the thread for reads that may wait for the disk

Handles: `store`, `group`, `table`. Care: `verify`, `backup`, `dump`.
"""
