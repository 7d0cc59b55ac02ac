"""mixbench on a GPU that you have for a short time: pack, run in short commands, bring back results. See docs/gpu.md."""
