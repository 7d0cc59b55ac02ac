"""python -m mixbench.bench: the benchmark's command line."""

import sys

from benchmarks.speed.main import main

sys.exit(main())
