"""mixbench on a borrowed GPU: pack, run in short commands, and bring the results back. See docs/gpu.md."""
