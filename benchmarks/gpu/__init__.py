"""mixbench on a GPU that you have for a short time: pack, run in short commands, unpack. See docs/gpu.md."""
