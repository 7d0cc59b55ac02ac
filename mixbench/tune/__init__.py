"""Tuning: equally many trials for every method, on validation images of the subset, and a comparison on new subsets.

`asked` reads a command, `plan` checks it and names its runs, `search` suggests settings, `trials` trains them, `found`
holds and writes what was found, `confirm` compares the winners. No method is judged by the accuracies that chose its
settings.
"""
