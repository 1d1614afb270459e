"""Helpers of the official SDK for models of other vendors; each part needs its own package."""
