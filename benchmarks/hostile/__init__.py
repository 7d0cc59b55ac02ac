"""Hostile use of the command line: kills, file-system events, random words, damaged archives, closed streams.

Each module has one campaign, a function `campaign(settings) -> Report`, except those below. The campaigns fork, so they
need Linux.

calls.py     calls the command line in a forked child, with streams, limits and signals
stores.py    makes the tiny runs of the campaigns, and compares folders
findings.py  records, prints and stores what was wrong, and the figures
lanes.py     runs several cases at the same time
"""
