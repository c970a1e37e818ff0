"""What else one could write: each module is a whole consumer, started as `python -m benchmarks.peers.<name>`."""
