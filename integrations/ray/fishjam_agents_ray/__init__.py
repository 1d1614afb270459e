"""Bots of many rooms on many machines, by Ray Serve."""
