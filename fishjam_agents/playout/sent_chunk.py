"""A chunk of the bot's voice that was sent, and may have to be taken back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from fishjam_agents.audio.samples import Samples
from fishjam_agents.playout.background_mixer import BackgroundState
from fishjam_agents.playout.reply import Reply


class SentChunk(NamedTuple):
    """A chunk that was sent.

    Attributes:
        reply: What it is of; None for the background alone and for what fades a reply out.
        start: Index of its first sample in the reply.
        length: Samples.
        background: Where the background was before it.
        tail: What it fades out, without the background; None for all other chunks.
    """

    reply: Reply | None
    start: int
    length: int
    background: BackgroundState | None
    tail: Samples | None


# Fifty are made a second and call, and a call of the class takes four times as long.
make_sent: Callable[[tuple[Reply | None, int, int, BackgroundState | None, Samples | None]], SentChunk] = (
    partial(tuple.__new__, SentChunk)
)
