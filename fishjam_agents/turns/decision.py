"""Interface of a frame's decision for the turn machine."""

from __future__ import annotations

from typing import Protocol


class Decision(Protocol):
    """Decision of voice detection on one 20 ms frame (`audio.vad.Decision`)."""

    @property
    def score(self) -> float:
        """Evidence for speech, -3 to 3."""
        ...

    @property
    def voiced(self) -> bool:
        """True if the score is above zero."""
        ...

    @property
    def tail(self) -> bool:
        """True if a frame after speech still belongs to it."""
        ...

    @property
    def snr(self) -> float:
        """Level of the speaker above the noise, dB."""
        ...
