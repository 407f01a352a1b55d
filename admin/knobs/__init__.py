"""Knobs: options of the configuration that can be changed while a node runs, for a time or for good.

catalogue     which there are, and why the others aren't
sections      the settings of a running node: read, and put in their place
loglevel      how much is logged
layers        what holds: the configuration, what was kept, what was set for a time
board         turns them, remembers who did, and undoes in time
"""
