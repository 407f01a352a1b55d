"""Power loss: what would be on the disk had the power failed, for a process that never noticed.

- `shim.c`: an LD_PRELOAD library that journals every change of a directory's files, and every fsync
- `build`: makes the shim with the C compiler that is there
- `journal`: the journal's records, read
- `files`: one file between its last sync and now
- `names`: directories between their last sync and now
- `image`: the journal played into the directory as a disk would hold it
- `watch`: `WatchedDirectory`: run a process under the shim, kill it, and put the image in place

It must never know what the files mean: LMDB, SQLite and plain files are the same to it.
"""
