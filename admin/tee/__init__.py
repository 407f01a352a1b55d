"""A share of a node's traffic, said again to a test node whose answers nobody hears.

settings   [shadow], and the named limits of both sides
records    what goes over the socket, as bytes
choice     which users are in the share
stripping  frames without the bodies that they came with
tap        the live node's side, in the hub's pass: what was said, into a bounded buffer
sender     out of the buffer, stripped, to the test node
receiver   the test node's side: a socket, and guests who say what comes
figures    what both sides are compared by
service    one tee of a live node: start, stop, what it does
"""
