"""Looking into a node while it serves: where its time goes, what its tasks wait for, what its memory holds.

service      what the composition root puts beside a node; one look of a kind at a time
stepping     which task the loop steps, how often each is stepped, and since when each is there
ticking      a signal to the loop's thread, many times a second
sampling     where all threads are, written down with every tick
places       functions as people name them
report       samples as tables, and as collapsed stacks
flame        collapsed stacks as a picture; for the asker's side
waiting      the tree of tasks with what each waits for; threads
heap         objects by type, counted in slices
allocations  who allocated what is kept, over a while
"""
