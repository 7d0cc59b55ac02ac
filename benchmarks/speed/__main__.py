"""python -m mixbench.bench: the benchmark's command line."""

import sys

from mixbench.bench.main import main

sys.exit(main())
