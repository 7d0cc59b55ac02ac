"""The images and labels of a run."""

from mixbench.data.banks import BankPart, read_bank
from mixbench.data.images import Split, check, positions, split, warnings
from mixbench.data.sources.load import Dataset, load, load_labels

__all__ = [
    "BankPart",
    "Dataset",
    "Split",
    "check",
    "load",
    "load_labels",
    "positions",
    "read_bank",
    "split",
    "warnings",
]
