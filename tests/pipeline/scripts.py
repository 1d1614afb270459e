"""What a scripted model answers with."""

from __future__ import annotations

from fishjam_agents.backends import port as p
from fishjam_agents.errors import BackendError
from fishjam_agents.testing import Step
from tests.pipeline.conftest import tone

ABLE = p.Capabilities(tools=True)


def calls(*events: p.BackendEvent | float | BackendError) -> Step:
    return Step(None, [0.5, *events])


def reply(name: str, seconds: float, text: str = "") -> list[p.BackendEvent | float | BackendError]:
    words: list[p.BackendEvent | float | BackendError] = [p.ReplyTextDelta(name, text)] if text else []
    return [p.ReplyStarted(name), *words, p.ReplyAudio(name, tone(seconds)), p.ReplyAudioEnded(name)]
