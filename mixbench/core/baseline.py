"""The baseline: the method that every other is compared with, and that a method which mixes nothing is."""

BASELINE = "none"  # configs/method/none.yaml
METHOD = {"name": BASELINE, "version": 1}  # its group `method`, validated
