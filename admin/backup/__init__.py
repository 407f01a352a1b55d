"""A copy of a node's data while it serves, made by a process of its own at the lowest priority.

service     starts it, one at a time, and says how far it is
"""
