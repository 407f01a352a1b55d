"""Tables on LMDB. Knows no network, no node, no message.

Declared and named:

- `schema`       what a group and its tables are declared to be (`Group`, `Table`, `Index`)
- `fieldindex`, `merges`  indexes by paths, merges by name: declarations that are only data
- `declaring`    a table's declaration as plain data and back
- `operations`   what can be asked of the schema of an open group
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
- `catalog`      what the meta database says about tables: ids, declarations, places, what is to be cleared
- `opening`      opening a group: is it ours, is its schema the declared one, who are we this time
- `placing`      where the maps of its tables are
- `opener`       opening all groups of a store; making and dropping one while it is open

Writing:

- `writes`       the operations that a caller hands over, and their encoding
- `submit`, `submitting`, `encoded`  what a caller hands over: writes that happen together or not at all
- `work`         a unit of work: a transaction and what it has open
- `batch`        applying writes: versions, changes, indexes, tombstones
- `runs`         the plain majority of them, a table at a time
- `spacing`      where commits find pages side by side, if a file may be longer than it must be
- `stale`        entries of `changes` about nothing any more, until they are taken away
- `transaction`  what the function given to `transact` sees
- `committer`    many submits, one LMDB transaction; on a thread or inline
- `floor`        letting the committer work alone for a moment
- `results`, `waiting`  bringing results back to the loop through an eventfd; awaiting one
- `subscribe`    bounded subscriptions to a table

Between nodes:

- `tapping`      what a commit has written, as parts for other nodes
- `carried`      parts that came from another node, opened and checked
- `pulling`      what changed since a position, as parts: one step of catching up
- `digest`       comparing what two nodes have without sending it

Altering:

- `alterable`, `alterations`  what a group offers for it; what is under way, as the loop sees it
- `altering`     each operation, on the committer's thread between two commits
- `steps`        long alterations in steps: `clearing`, `building`, `moving`
- `mirror`       a map that is written on both sides while its table moves
- `transform`    another value for every record

Reading:

- `reading`, `match`  what reads mean; patterns for `select`
- `snapshot`     reading at one moment
- `changes`      what changed in a partition since a sequence
- `cold`         the thread for reads that may wait for the disk

Handles: `store`, `group`, `table`. Care: `verify`, `backup`, `dump`.
"""
