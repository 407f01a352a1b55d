"""The one table of commands: shell, one-shot commands and tests use it alike.

table         what a command is, who may run it, what it may ask of the node
words         a line's words made into a command and its checked arguments
registry      all commands of a node, in one tuple
"""
