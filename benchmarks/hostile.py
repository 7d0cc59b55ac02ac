"""Runs campaigns of hostile use: python benchmarks/hostile.py [CAMPAIGN …] (see docs/reliability.md)."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the package `hostile` beside this file
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is imported: a process with several threads cannot be forked safely

from hostile.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
