"""The entry point python -m benchmarks.speed, which scripts/bench calls."""

import sys

from benchmarks.speed.main import main

sys.exit(main())
