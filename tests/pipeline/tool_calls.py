"""What a scripted model answers with."""

from __future__ import annotations

import numpy as np

from fishjam_agents.backends import port as p
from fishjam_agents.errors import BackendError
from fishjam_agents.testing import Step

ABLE = p.Capabilities(tools=True)


def calls(*events: p.BackendEvent | float | BackendError) -> Step:
    return Step(None, [0.5, *events])


def reply(name: str, seconds: float) -> list[p.BackendEvent | float | BackendError]:
    samples = (8000 * np.sin(np.arange(round(seconds * 24000)) / 9)).astype(np.int16)
    return [p.ReplyStarted(name), p.ReplyAudio(name, samples), p.ReplyAudioEnded(name)]
