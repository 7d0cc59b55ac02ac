"""What a data set of the user's own does to a study: counts, sizes, broken files, duplicates, too few test images."""

from mixbench.data.audit.audit import Evaluation, audit, of_run
from mixbench.data.audit.findings import Audit, Finding, Pair

__all__ = ["Audit", "Evaluation", "Finding", "Pair", "audit", "of_run"]
