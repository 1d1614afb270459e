"""What the turn machine needs to know of a frame."""

from __future__ import annotations

from typing import Protocol


class Decision(Protocol):
    """What voice detection says of one 20 ms frame (`audio.vad.Decision`)."""

    @property
    def score(self) -> float:
        """Evidence for speech, -3 to 3."""
        ...

    @property
    def voiced(self) -> bool:
        """Whether the score is above zero."""
        ...

    @property
    def tail(self) -> bool:
        """Whether a frame after speech still belongs to it."""
        ...

    @property
    def snr(self) -> float:
        """Level of the speaker above the noise, dB."""
        ...
