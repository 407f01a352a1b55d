"""Histories: what every process of a test run did, one line an event, and the checker that judges them.

- `format`: the events, their fields, version 1 of the file format (`docs/history-format.md`)
- `writer`: what a process writes its history with, safe against `kill -9`
- `reader`: many files as one stream in the order of the clock, with the place of each line
- `intervals`: sets of message numbers that cost memory by interval, not by number
- `pairs`: what the checker knows of one (recipient, sender, stream)
- `checker`: the promises, as rules over the stream of events
- `report`: violations with every line that speaks of the message; text and JSON
- `command`: `waystation check-history`

Nothing here imports the node or the client: a checker that shared code with what it checks would share its
faults.
"""
