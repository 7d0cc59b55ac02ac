"""The images and labels of a run."""

from mixbench.data.banks import BankPart, read_bank
from mixbench.data.images import Split, split, warnings
from mixbench.data.sources.load import Dataset, load

__all__ = ["BankPart", "Dataset", "Split", "load", "read_bank", "split", "warnings"]
