"""The entry point of `python -m mixbench`."""

import sys

from mixbench.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
