"""Accounts at vendors, shared by all calls of a process: limits, circuit breaker, pace of reconnects."""

from fishjam_agents.backends.vendors.account import PATIENCE, Permit, VendorAccount, telling
from fishjam_agents.backends.vendors.endpoint import VendorEndpoint
from fishjam_agents.backends.vendors.errors import LimitReachedError, VendorUnavailableError
from fishjam_agents.backends.vendors.limits import VendorLimits
from fishjam_agents.backends.vendors.registry import Vendors
from fishjam_agents.backends.vendors.use import CallVendors, VendorUse

__all__ = [
    "PATIENCE",
    "CallVendors",
    "LimitReachedError",
    "Permit",
    "VendorAccount",
    "VendorEndpoint",
    "VendorLimits",
    "VendorUnavailableError",
    "VendorUse",
    "Vendors",
    "telling",
]
