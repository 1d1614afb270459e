"""The recording of a call's sound: what is recorded, that it is announced, and what becomes of the files."""

from __future__ import annotations

from fishjam_agents.audio.samples import Samples
from fishjam_agents.events import Event
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.recorder import SoundRecorder
from fishjam_agents.playout.audio_output import AudioOutput

UPLOAD_DEADLINE = 60.0
"""Seconds that `on_recorded` may take."""


class CallRecording:
    """The recording of a call, from its first tick to its files.

    Args:
        context: The call.
        recorder: Makes it.
        output: The bot's voice.
    """

    def __init__(self, context: CallContext, recorder: SoundRecorder, output: AudioOutput) -> None:
        self._context = context
        self._recording = recorder.open(context.id, context.room_format.sample_rate, output.sample_rate)
        self.heard = self._recording.heard
        output.recording = self
        context.events.observe(self._recording.event)
        context.events.watch(self)

    def begin(self) -> None:
        """Tell the bot that the call is recorded."""
        self._context.start_hook("on_recording", self._recording.path)

    def sent(self, samples: Samples, end: float) -> None:
        """Take a chunk of the voice; `end` is loop time."""
        self._recording.sent(samples, end - self._context.zero)

    def cut(self, at: float) -> None:
        """Take back what would play at `at`, loop time, or later."""
        self._recording.cut(at - self._context.zero)

    def event(self, event: Event) -> None:
        """Part of `event_stream.Watcher`."""

    def tick(self, now: float) -> None:
        """Part of `event_stream.Watcher`."""
        self._recording.tick(now)

    async def finish(self) -> None:
        """Complete the files, and let the bot take them; bounded."""
        context = self._context
        context.events.unwatch(self)
        files = await self._recording.finish(context.now())
        if files and context.hooks.has("on_recorded"):
            await context.hooks.run_to_end("on_recorded", UPLOAD_DEADLINE, files)
