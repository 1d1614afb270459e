"""The header `Retry-After` (RFC 9110, 10.2.3): seconds, or a date."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds for which a service asks to be left alone; None if it does not, or not readably.

    A date is taken from the service's own `Date`: clocks differ.
    """
    given = headers.get("retry-after")
    if given is None:
        return None
    given = given.strip()
    if given.isascii() and given.isdigit():
        # Longer numbers are no seconds of anybody's.
        return float(given) if len(given) <= 9 else None
    at = _date(given)
    if at is None:
        return None
    now = _date(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (at - now).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
