"""The world of mail: phones, and nodes that keep their mail on a replicated group.

events     what phones do and are told, and what nodes say to them
phone      a device as the protocol tells it to behave; finds the primary of its partition by asking any node
node       the mail core and its driver on the replicated group `mail`
scenario   what a seed decides, and when such a world is at rest

Everybody whom a phone writes to lives in its own partition: between partitions nothing is routed yet.
"""
