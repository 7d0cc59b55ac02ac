"""The version of mixbench, which runs, archives and reports name."""

__version__ = "0.1.0"
