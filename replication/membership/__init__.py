"""Who belongs to a cluster, and how that changes while it runs.

member        a node as everybody knows it: a row, and which of two rows stands
owner         which cluster a partition belongs to, of clusters that know one another: the same kind of row
roster        all rows of a node, and their digest
exchange      what nodes say to one another of their rosters; pure
settings      times and rates
"""
