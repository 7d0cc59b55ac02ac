"""Statistics of repeated runs: means, comparisons with a baseline, intervals that hold together, equivalent data.

Functions take arrays or mappings and return numbers. Nothing here depends on configurations or stored runs. No torch.
"""

from mixbench.stats.comparison import Comparison, Gain, compare
from mixbench.stats.images import image_covariance
from mixbench.stats.power import MOST_UNITS, POWER, power, units_needed
from mixbench.stats.summaries import Summary, mean_of, summarise, t_interval
from mixbench.stats.units import ALPHA, LEVEL, SAME, PairedTable, Runs, paired_table

__all__ = [
    "ALPHA",
    "LEVEL",
    "MOST_UNITS",
    "POWER",
    "SAME",
    "Comparison",
    "Gain",
    "PairedTable",
    "Runs",
    "Summary",
    "compare",
    "image_covariance",
    "mean_of",
    "paired_table",
    "power",
    "summarise",
    "t_interval",
    "units_needed",
]
