"""What a data set of the user's own does to a study: counts, sizes, broken files, duplicates, too few test images."""

from mixbench.data.audit.audit import audit
from mixbench.data.audit.findings import Audit, Finding, Pair
from mixbench.data.audit.seen import Evaluation, of_run

__all__ = ["Audit", "Evaluation", "Finding", "Pair", "audit", "of_run"]
