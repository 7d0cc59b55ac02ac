"""The images and labels of a run."""

from mixbench.data.banks import BankPart, read_bank
from mixbench.data.images import Split, available, check, positions, split, warnings
from mixbench.data.sources.load import (
    Dataset,
    Labelled,
    key_of,
    listing_for,
    load,
    load_for,
    load_labels,
    load_labels_for,
)

__all__ = [
    "BankPart",
    "Dataset",
    "Labelled",
    "Split",
    "available",
    "check",
    "key_of",
    "listing_for",
    "load",
    "load_for",
    "load_labels",
    "load_labels_for",
    "positions",
    "read_bank",
    "split",
    "warnings",
]
