"""A node as a systemd service: its units, beside this file in `units/`, and the command that puts them in place.

`install` writes the units. `drill` tries them under a real systemd, which `apart` starts in namespaces of its own with
the root that `apart_root` makes. What a running node and systemd say to each other is `admin/systemd`.
"""
