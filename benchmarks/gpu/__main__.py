"""The entry point python -m benchmarks.gpu, which scripts/gpu calls."""

import sys

from benchmarks.gpu.cli import main

sys.exit(main())
