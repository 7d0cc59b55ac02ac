"""The images and labels of a run."""

from mixbench.data.images import Split, split, warnings
from mixbench.data.sources.load import Dataset, load

__all__ = ["Dataset", "Split", "load", "split", "warnings"]
