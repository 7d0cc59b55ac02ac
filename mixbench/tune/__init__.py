"""Tuning: equally many trials for every method, on validation images of the subset, and a confirmation on new subsets.

`asked` reads a command, `plan` checks it and names its runs, `search` suggests settings, `trials` trains them, `confirm`
compares the winners, `record` writes what was found. No run is compared by the accuracies that chose its settings.
"""
