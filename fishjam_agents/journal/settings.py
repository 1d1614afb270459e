"""Settings of the journal."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field
from pathlib import Path

from fishjam_agents.errors import SettingError

MAKE_KEY = '`python -c "from cryptography.fernet import Fernet as F; print(F.generate_key().decode())"`'


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """The journal of calls, by which a conversation goes on when its process was lost. Durations in seconds.

    Attributes:
        path: The SQLite file, shared by all processes that may take a call over; on a local disk. None takes
            `journal.db` in the user's state folder.
        resume: A call whose process was lost longer ago begins anew.
        keep: Journals are deleted so long after their last entry.
        key: Fernet key by which what is said is encrypted; several, with commas between them, to change it.
    """

    path: Path | None = None
    resume: float = 60.0
    keep: float = 7 * 86400.0
    key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
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
