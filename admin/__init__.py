"""Operating a live node: channel, shell, statistics, knobs, hot reload. Nothing is here yet but the place.

What it will stand on exists: every part of a node has `statistics()`, settings are typed classes, and state classes
are apart from logic, so that logic can be replaced under them.
"""
