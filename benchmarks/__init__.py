"""Side-by-side timing against peers: ``python -m benchmarks --help``."""
