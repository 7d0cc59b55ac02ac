"""The baseline: the method that all others are compared with. A method that never mixes is identical to it."""

BASELINE = "none"  # configs/method/none.yaml
METHOD = {"name": BASELINE, "version": 1}  # the validated config group `method` of the baseline
