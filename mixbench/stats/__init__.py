"""Statistics of repeated runs: means with intervals, paired differences, Holm's correction, power, equivalent data.

Functions take arrays or mappings and return numbers. Nothing here depends on configurations or stored runs. No torch.
"""

from mixbench.stats.holm import holm
from mixbench.stats.paired import Difference, paired_difference
from mixbench.stats.power import MOST_UNITS, POWER, power, units_needed
from mixbench.stats.summaries import Summary, mean_of, summarise, t_interval
from mixbench.stats.units import ALPHA, LEVEL, SAME, Runs

__all__ = [
    "ALPHA",
    "LEVEL",
    "MOST_UNITS",
    "POWER",
    "SAME",
    "Difference",
    "Runs",
    "Summary",
    "holm",
    "mean_of",
    "paired_difference",
    "power",
    "summarise",
    "t_interval",
    "units_needed",
]
