"""The benchmark, `scripts/bench`: training speed, what methods cost, commands on stored runs."""
