"""The images and labels of a run."""

from mixbench.data.images import Split, check, split, warnings
from mixbench.data.sources.load import Dataset, load, load_labels

__all__ = ["Dataset", "Split", "check", "load", "load_labels", "split", "warnings"]
