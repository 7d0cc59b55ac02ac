"""The benchmark `scripts/bench`: training speed, the time of each method, and commands on stored runs."""
