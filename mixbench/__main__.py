"""python -m mixbench."""

import sys

from mixbench.cli import main

if __name__ == "__main__":
    sys.exit(main())
