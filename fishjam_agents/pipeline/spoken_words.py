"""Greeting and apology of a bot, said: recordings, or words that its backend speaks."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

import numpy as np

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends.port import Backend
from fishjam_agents.backends.remote import RemoteBackend
from fishjam_agents.backends.tracebacks import SEE, describe
from fishjam_agents.errors import BackendError, FishjamAgentsError
from fishjam_agents.pipeline.bot import Bot
from fishjam_agents.pipeline.own_words import Instructions, OwnWords
from fishjam_agents.pipeline.replies import Replies
from fishjam_agents.pipeline.user_objects import verify_recording

logger = logging.getLogger(__name__)

SPEAKING_DEADLINE = 10.0
"""Seconds that a voice may take for an apology."""
_KEPT = 16
"""Apologies that a process keeps: one for each bot that it runs."""
_spoken: deque[tuple[Backend, str, Samples]] = deque(maxlen=_KEPT)


def greet(bot: Bot, replies: Replies) -> None:
    """Say the greeting of a bot, if it has one."""
    greeting = bot.greeting
    if isinstance(greeting, Instructions):
        bot.respond(greeting.text)
    elif isinstance(greeting, str):
        bot.say(greeting)
    elif greeting is not None:
        replies.play(greeting)


class Apology:
    """Last thing that a bot says when its backend has failed for good.

    Words are made into sound while the call is young, by the voice alone, and kept by the process: nothing
    has to work any more when they are needed.

    Args:
        apology: A recording, or words for a backend that speaks without a session.
        backend: The backend.
        warn: Told when words cannot be spoken.
    """

    def __init__(self, apology: OwnWords | None, backend: Backend, warn: Callable[[str], None]) -> None:
        self._backend = backend
        self._warn = warn
        self._text = apology if isinstance(apology, str) else None
        self._recording = None if isinstance(apology, str) else apology

    async def prepare(self) -> None:
        """Make words into sound, unless the process has it; ends when it is there."""
        if self._text is not None and self._recording is None:
            try:
                self._recording = await _speak(self._backend, self._text)
            except BackendError as error:
                logger.info("The apology cannot be spoken yet: %s", error)

    async def recording(self) -> Samples | None:
        """The apology as sound; None where there is none, or no voice speaks it."""
        if self._text is not None and self._recording is None:
            try:
                self._recording = await _speak(self._backend, self._text)
            except BackendError as error:
                self._warn(f"the apology was not said: {error}")
        return self._recording


async def _speak(backend: Backend, text: str) -> Samples:
    """Return given words as sound.

    Raises:
        BackendError: They could not be spoken, or not in time.
    """
    # By their settings: a bot may make its backend anew for each call.
    for voice, words, kept in _spoken:
        if words == text and voice == backend:
            return kept
    try:
        async with asyncio.timeout(SPEAKING_DEADLINE):
            pieces = [piece async for piece in backend.speak(text)]
    except TimeoutError as error:
        raise BackendError(f"the voice took longer than {SPEAKING_DEADLINE:g} s", retryable=True) from error
    except BackendError:
        raise
    except Exception as bug:
        # The failure that the call ends with is not to be hidden by one of its apology.
        raise BackendError(f"the voice failed ({describe(bug)}): {SEE}") from bug
    samples = np.concatenate([np.empty(0, np.int16), *pieces])
    _spoken.append((backend, text, samples))
    return samples


def verify_own_words(bot: Bot, kind: str, backend: Backend) -> None:
    """Check what a bot says by itself.

    Args:
        bot: The bot.
        kind: Name of its class.
        backend: Its backend.

    Raises:
        FishjamAgentsError: One is no recording, or has words that the backend cannot speak.
    """
    greeting, name = bot.greeting, type(backend).__name__
    here = not isinstance(backend, RemoteBackend)
    speaks, responds = backend.capabilities.verbatim_say and here, backend.capabilities.respond and here
    if isinstance(greeting, str | Instructions) and bot.hearing.mode == "per_peer":
        raise FishjamAgentsError(
            "greeting is in words, but with hearing 'per_peer' nobody has a session before they are heard: "
            "give a wav, or set hearing to 'active_speaker'"
        )
    if isinstance(greeting, Instructions):
        if not greeting.text.strip():
            raise FishjamAgentsError("greeting has empty instructions: give some, or leave it out")
        if not responds:
            raise FishjamAgentsError(
                f"greeting has instructions, but {name} cannot be told what to say here: "
                f"give a {'text or a wav' if speaks else 'wav'}"
            )
        greeting = None
    advice = "give instructions or a wav" if responds else "give a wav"
    _verify(kind, "greeting", greeting, None if speaks else f"{name} cannot speak given words here: {advice}")
    alone = backend.capabilities.speaks_alone
    why = f"{name} cannot speak given words {'once it has failed' if speaks else 'here'}: give a wav"
    _verify(kind, "apology", bot.apology, None if alone else why)
    why = f"{name} cannot speak given words here: give a wav"
    _verify(kind, "farewell", bot.farewell, None if speaks else why)


def _verify(kind: str, what: str, words: object, cannot: str | None) -> None:
    if not isinstance(words, str):
        verify_recording(kind, what, words)
    elif not words.strip():
        raise FishjamAgentsError(f"{what} is an empty text: give words, or leave it out")
    elif cannot is not None:
        raise FishjamAgentsError(f"{what} is a text, but {cannot}")
