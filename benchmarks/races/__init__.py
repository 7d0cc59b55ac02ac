"""Simulated races of methods, with known truth."""
