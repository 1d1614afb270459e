"""Limits of one account at a vendor."""

from __future__ import annotations

from dataclasses import dataclass

from fishjam_agents.errors import SettingError
from fishjam_agents.units import PerMinute, PerSecond

RECONNECTS = 40.0
"""Connections a second that are made anew, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class VendorLimits:
    """Limits of what one process asks of one account. None is no limit.

    Attributes:
        calls: Most calls at once; of a realtime model, sessions at once.
        requests_per_minute: Most requests in any 60 s: connections to a realtime model, requests to a part of
            a cascade. Up to a tenth of them may come at once, the others in even steps.
        reconnects_per_second: Most connections a second that are made anew after a loss, and most requests a
            second that waited for the vendor to come back.
    """

    calls: int | None = None
    requests_per_minute: PerMinute | None = None
    reconnects_per_second: PerSecond = RECONNECTS

    def __post_init__(self) -> None:
        for name in ("calls", "requests_per_minute"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingError(name, f"must be 1 or more, not {value}", section="limits")
        if not 0 < self.reconnects_per_second <= 10_000:
            raise SettingError(
                "reconnects_per_second",
                f"must be above 0 and at most 10000, not {self.reconnects_per_second:g}",
                section="limits",
            )

    def __str__(self) -> str:
        shown = [] if self.calls is None else [f"{self.calls} calls at once"]
        shown += [] if self.requests_per_minute is None else [f"{self.requests_per_minute} requests a minute"]
        reconnects = self.reconnects_per_second
        shown += [] if reconnects == RECONNECTS else [f"{reconnects:g} reconnects a second"]
        return ", ".join(shown)
