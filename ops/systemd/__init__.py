"""A node as a systemd service: its units, beside this file in `units/`, and the command that puts them in place.

What a running node and systemd say to each other is `admin/systemd`.
"""
