"""python -m benchmarks.gpu: what scripts/gpu calls."""

import sys

from benchmarks.gpu.cli import main

sys.exit(main())
