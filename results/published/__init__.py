"""The records of studies, packed: what was measured with mixbench (installed as mixbench.published)."""
