"""Stages: a user's own processing of one microphone, before voice detection and the backend hear it."""

from __future__ import annotations

from typing import Protocol

from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.samples import Samples


class Stage(Protocol):
    """Audio in, audio out, called synchronously for every 20 ms of every microphone.

    A stage that raises is reported once and left out for that microphone from then on. Each microphone has
    its own deep copy of each stage in `AgentPipeline.input_stages`.
    """

    def process(self, samples: Samples, format: AudioFormat) -> Samples:
        """Process one block.

        Args:
            samples: int16 mono, shape (n,).
            format: Their rate and channels.

        Returns:
            int16 mono, shape (m,), at the same rate; m may differ from n.
        """
        ...

    def reset(self) -> None:
        """Forget what was heard; the next block is unrelated."""
        ...
