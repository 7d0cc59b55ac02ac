"""Mixbench on a borrowed GPU: packing, running in short commands, and bringing the results back. See docs/gpu.md."""
