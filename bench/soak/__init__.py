"""Calls under random faults: `python -m bench.soak`, whose options `--help` tells."""
