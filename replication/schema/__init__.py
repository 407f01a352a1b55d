"""The schema of a cluster: which groups and tables there are, and where. It is itself a replicated table.

declared    the rows of that table: groups and tables as plain data
changes     what can be done to it, as functions of a transaction
keeper      makes what this node has be what is declared
schema      the front: create, delete, add and drop copies, alter, wait
"""
