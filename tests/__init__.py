"""Tests. Folders named as a package mirror it; the others are about several packages at once, see DESIGN.md.

client, node, ops, store    mostly one test module for one module
stateful                    random operations against a model
fuzz                        hostile bytes: into the decoder, and into a node that serves
system                      real processes, killed, cut off and deprived of power
architecture                what the code may import, and what every module owes its readers
"""
