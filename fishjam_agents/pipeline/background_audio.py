"""Background sounds under and between the bot's replies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from fishjam_agents import events
from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import load_speech
from fishjam_agents.events import Event
from fishjam_agents.playout.audio_output import AudioOutput
from fishjam_agents.playout.background_mixer import Loop
from fishjam_agents.playout.settings import BackgroundAudioSettings, ThinkingSettings
from fishjam_agents.turns.machine import CANCELLED

LONGEST_WAIT = 30.0
"""Seconds after which no answer is waited for any more."""


class Watcher(Protocol):
    """Something that follows a call. Synchronous; costs nothing in calls that have none."""

    def event(self, event: Event) -> None:
        """Take an event of the call."""
        ...

    def tick(self, now: float) -> None:
        """Called every 20 ms with call time."""
        ...


class Background:
    """The sound that is always there under the bot's voice.

    Args:
        voice: Gives the voice of the running call.
    """

    def __init__(self, voice: Callable[[], AudioOutput]) -> None:
        self._voice = voice

    def play(
        self,
        audio: Samples | str | Path,
        sample_rate: int | None = None,
        *,
        level: float = -40.0,
        duck: float = 10.0,
    ) -> None:
        """Fade a recording in, in place of the one before, and repeat it until `stop`.

        Args:
            audio: A WAV file, or int16 mono of shape (n,).
            sample_rate: Hz of the samples; None means the rate of the bot's track.
            level: How loud it plays, dBFS (RMS).
            duck: How much quieter it is while the bot speaks, dB.

        Raises:
            AudioError: The file cannot be played.
            FishjamAgentsError: The bot is not running.
        """
        voice = self._voice()
        rate = voice.sample_rate
        if isinstance(audio, (str, Path)):
            samples = load_speech(audio, rate)
        else:
            samples = resample(audio, sample_rate or rate, rate)
        if len(samples):
            voice.background.background = Loop(samples, rate, level, duck)

    def stop(self) -> None:
        """Fade it out. Does nothing when there is none.

        Raises:
            FishjamAgentsError: The bot is not running.
        """
        loop = self._voice().background.background
        if loop is not None:
            loop.on = False


class Thinking:
    """The sound between a turn's end and the first sound of its answer.

    Args:
        settings: When it begins.
        loop: What it is; switched on and off here.
    """

    def __init__(self, settings: ThinkingSettings, loop: Loop) -> None:
        self._after = settings.after
        self._loop = loop
        self._since: float | None = None
        loop.on = False

    def event(self, event: Event) -> None:
        """Take an event of the call."""
        if isinstance(event, events.UserTurnEnded):
            self._since = None if event.reason == CANCELLED else event.at
        elif isinstance(event, (events.UserStartedSpeaking, events.ReplyFirstAudio, events.ReplyInterrupted)):
            self._since = None
            self._loop.on = False

    def tick(self, now: float) -> None:
        """Called every 20 ms with call time."""
        if self._since is not None:
            self._loop.on = self._after <= now - self._since < LONGEST_WAIT


def add_background_audio(settings: BackgroundAudioSettings, voice: AudioOutput) -> list[Watcher]:
    """Give a voice the sounds of its settings.

    Returns:
        What has to follow the call.

    Raises:
        AudioError: A file cannot be played.
    """
    if settings.ambient is not None:
        sound = settings.ambient
        Background(lambda: voice).play(sound.wav, level=sound.level, duck=sound.duck)
    if settings.thinking is None:
        return []
    thinking = settings.thinking
    loop = Loop(load_speech(thinking.wav, voice.sample_rate), voice.sample_rate, thinking.level, None)
    voice.background.thinking = loop
    return [Thinking(thinking, loop)]
