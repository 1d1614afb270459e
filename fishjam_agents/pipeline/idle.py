"""Settings of a call in which nobody says anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fishjam_agents.errors import FishjamAgentsError, SettingError
from fishjam_agents.units import Seconds


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something the bot says by itself: a recording, or a text for a backend that speaks given words.

    Attributes:
        wav: A 16-bit WAV of any rate, mono or stereo.
        text: The words; with `wav`, what it says.
    """

    wav: Path | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if self.wav is None and not self.text:
            raise SettingError(None, "it needs wav or text", "give one of them", fields=["wav", "text"])


@dataclass(frozen=True, slots=True)
class IdleSettings:
    """Settings of a call in which nobody says anything. Durations in seconds.

    Attributes:
        after: Silence of the room and the bot after which the user counts as idle; None never. It counts from
            the last word of either, while somebody is there and no answer is awaited.
        prompt: What the bot then says ("Are you still there?"); None says nothing.
        prompts: How often in a row, each after another `after`.
        goodbye: What it says when that did not help, before it ends the call.
        end: Whether the call ends then without a goodbye.
    """

    after: Seconds | None = None
    prompt: Announcement | None = None
    prompts: int = 1
    goodbye: Announcement | None = None
    end: bool = False

    def __post_init__(self) -> None:
        if self.after is not None and not 1 <= self.after <= 3600:
            raise SettingError(
                "after", f"must be between 1 and 3600 seconds, not {self.after:g}", section="idle"
            )
        if not 1 <= self.prompts <= 100:
            raise SettingError("prompts", f"must be between 1 and 100, not {self.prompts}", section="idle")
        if self.after is None and (self.prompt is not None or self.goodbye is not None or self.end):
            raise SettingError(
                "after",
                "is missing",
                "give the seconds after which the user counts as idle",
                section="idle",
            )

    @property
    def ends(self) -> bool:
        """True if silence ends the call."""
        return self.end or self.goodbye is not None


def check_announcement(words: Announcement, key: str, *, speaks: bool, backend: str) -> None:
    """Check that a backend can say given words.

    Raises:
        FishjamAgentsError: It cannot.
    """
    if words.wav is None and not speaks:
        raise FishjamAgentsError(f"{key} has a text, but {backend} cannot speak given words: give a wav")
