"""New code into a running node: plan, check, swap between two batches of the hub, watch, roll back.

sources      the texts of all our modules at one moment: at the start, on disk, in a wheel
policy       what may never be replaced, and what takes effect at the next start
codes        whether two code objects do the same
units        a source as functions, classes, constants and imports
shapes       what `__init__` gives every object of a class
literals     default values known without running anything
difference   two versions of a module compared
uses         who uses a name while it is imported
survey       which modules differ at all, and may
draft        what differs, as values that cross between processes
inspector    the process that compiles, imports and compares before the node does
missing      names and imports of new functions that lead nowhere
checking     starts that process
finding      where a function lives in the running process
suspended    code that tasks are in the middle of
instances    live objects of a class
planning     a draft joined with what runs: steps, or refusals
keeping      a live object as it was before its `code_change`
swapping     the steps, each with its inverse; all or none
health       better or worse than the minute before
pulses       pictures of a node's health
history      who, when, what, and what came of it, on disk
recording    how a service writes it, also on a full disk
watching     reloads in effect, and those that are watched still
service      all of it together, for commands
proposing    from what runs and what is on disk to a plan
turns        one reload at a time, between two batches
settings     how long a reload is watched
errors       causes and remedies
"""
