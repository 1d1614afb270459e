"""Settings of the journal."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fishjam_agents.errors import SettingError
from fishjam_agents.units import Seconds
from fishjam_agents.urls import is_redis_url

MAKE_KEY = '`python -c "from cryptography.fernet import Fernet as F; print(F.generate_key().decode())"`'


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """The journal of calls, by which a conversation goes on when its process was lost. Durations in seconds.

    Attributes:
        type: `sqlite`: a file, for the processes of one machine; `redis`: for those of many.
        path: The SQLite file, shared by all processes that may take a call over; on a local disk. None takes
            `journal.db` in the user's state folder.
        url: The Redis: `redis://`, `rediss://` (TLS) or `unix://`.
        resume: A call whose process was lost longer ago begins anew.
        keep: Journals are deleted so long after their last entry.
        key: Fernet key by which what is said is encrypted; several, with commas between them, to change it.
    """

    type: Literal["sqlite", "redis"] = "sqlite"
    path: Path | None = None
    url: str | None = field(default=None, repr=False)
    resume: Seconds = 60.0
    keep: Seconds = 7 * 86400.0
    key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.type == "redis") != (self.url is not None):
            raise SettingError(
                "url",
                "and type: redis belong together",
                "give both, or neither for a SQLite file",
                section="journal",
                fields=["type"],
            )
        if self.url is not None and not is_redis_url(self.url):
            raise SettingError(
                "url", "is no address of a Redis", "write it as redis://HOST:6379/0", section="journal"
            )
        if self.url is not None and self.path is not None:
            raise SettingError(
                "path", "is a SQLite file, and type is redis", "keep one of them", section="journal"
            )
        if not 0 <= self.resume <= 86400:
            raise SettingError(
                "resume", f"must be between 0 and 86400 seconds, not {self.resume:g}", section="journal"
            )
        if not self.resume <= self.keep < math.inf:
            raise SettingError(
                "keep", f"must be at least journal.resume, not {self.keep:g} seconds", section="journal"
            )
        if self.key is not None and not all(_is_key(key) for key in self.key.split(",")):
            raise SettingError("key", "is no Fernet key", f"make one with {MAKE_KEY}", section="journal")


def _is_key(text: str) -> bool:
    """Return whether a text is 32 bytes in URL-safe base64 (Fernet specification, Key Format)."""
    try:
        return len(base64.b64decode(text.strip(), b"-_", validate=True)) == 32
    except ValueError:
        return False
