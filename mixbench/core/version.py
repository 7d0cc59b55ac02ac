"""The version of mixbench, stored in runs, archives and reports."""

__version__ = "0.1.0"
