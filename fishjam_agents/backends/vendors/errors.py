"""Failures of a call that was not let through to its vendor."""

from __future__ import annotations

from fishjam_agents.errors import BackendError


class VendorUnavailableError(BackendError):
    """A vendor fails for all calls, or asks to be left alone: it was not asked for this one.

    Retryable, unless its key was refused.
    """


class LimitReachedError(BackendError):
    """A limit of the account (`limits`) is reached: the vendor was not asked. Retryable."""
