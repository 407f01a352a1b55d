"""Tables on LMDB. Knows no network, no node, no message.

Reading order:

- `schema`       what a group and its tables are declared to be (`Group`, `Table`, `Index`)
- `errors`       every error the store can give, each with its cause and its remedy
- `limits`       named limits and settings
- `keys`         ordered, self-describing, concatenative tuple keys
- `record`       a value as stored: version, payload, checksum
- `directory`    the marker file and the lock of a data directory
- `environment`  the narrow boundary to LMDB: opening, checking, translating its errors
- `incarnation`  who this directory has been, so that a copy can't pass for its past
- `rows`         one ordered map of bytes, on disc or in memory, inside a transaction
- `ram`          the ordered maps behind `ram` tables
- `writes`       the operations that a caller hands over, and their encoding
- `batch`        applying writes: versions, changes, indexes, tombstones
- `changes`      reading what changed in a partition since a sequence
- `match`        patterns for `select`
- `reader`       reading at one snapshot; the thread for cold reads
- `transaction`  what the function given to `transact` sees
- `committer`    many submits, one LMDB transaction; on a thread or inline
- `results`      bringing results back to the loop through an eventfd
- `subscribe`    bounded subscriptions to a table
- `group`, `table`, `store`  the handles that callers hold
- `verify`, `backup`, `dump` checking, copying, and the portable format
"""
