"""Background sounds under and between the bot's replies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fishjam_agents import events
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import load_recording, load_speech
from fishjam_agents.events import Event
from fishjam_agents.pipeline.event_stream import Watcher
from fishjam_agents.playout.audio_output import AudioOutput
from fishjam_agents.playout.background_mixer import Loop
from fishjam_agents.playout.settings import BackgroundAudioSettings, ThinkingSettings
from fishjam_agents.turns.machine import CANCELLED

LONGEST_WAIT = 30.0
"""Seconds after which no answer is waited for any more."""


class Background:
    """The sound that is always there under the bot's voice.

    Args:
        output: Gives the audio output of the running call.
    """

    def __init__(self, output: Callable[[], AudioOutput]) -> None:
        self._output = output

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
            level: Level it plays at, dBFS (RMS).
            duck: Attenuation while the bot speaks, dB.

        Raises:
            AudioError: The file cannot be played, or the samples are not int16 mono.
            FishjamAgentsError: The bot is not running.
        """
        output = self._output()
        samples = load_recording(audio, sample_rate, output.sample_rate)
        if len(samples):
            output.background.background = Loop(samples, output.sample_rate, level, duck)

    def stop(self) -> None:
        """Fade it out. Does nothing when there is none.

        Raises:
            FishjamAgentsError: The bot is not running.
        """
        loop = self._output().background.background
        if loop is not None:
            loop.on = False


class Thinking:
    """The sound between a turn's end and the first sound of its answer.

    Args:
        settings: The moment it begins.
        loop: The sound; switched on and off here.
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
        """Take notice of the time: called every 20 ms with call time."""
        if self._since is not None:
            self._loop.on = self._after <= now - self._since < LONGEST_WAIT


def add_background_audio(settings: BackgroundAudioSettings, output: AudioOutput) -> list[Watcher]:
    """Give an output the sounds of its settings.

    Returns:
        Watchers that have to follow the call.

    Raises:
        AudioError: A file cannot be played.
    """
    if settings.ambient is not None:
        sound = settings.ambient
        Background(lambda: output).play(sound.wav, level=sound.level, duck=sound.duck)
    if settings.thinking is None:
        return []
    thinking = settings.thinking
    loop = Loop(load_speech(thinking.wav, output.sample_rate), output.sample_rate, thinking.level, None)
    output.background.thinking = loop
    return [Thinking(thinking, loop)]
