"""One call of `console`: a bot, a microphone, a loudspeaker and a terminal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.backends.remote import RemoteBackend
from fishjam_agents.cli.interrupts import interrupts
from fishjam_agents.cli.loops import freeze_gc
from fishjam_agents.cli.output import say
from fishjam_agents.cli.terminal.conversation import BotState, Conversation
from fishjam_agents.cli.terminal.keys import keys
from fishjam_agents.cli.terminal.view import UPDATES_PER_SECOND, PlainView, Status, TerminalView, View
from fishjam_agents.config import Config
from fishjam_agents.devices import AudioDevice, DeviceSession, WavDevice
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.fishjam.options import audio_sample_rate
from fishjam_agents.observe.log import EventLog, setup_logging
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.pipeline.preload import preload
from fishjam_agents.simulation.scene import EndRule
from fishjam_agents.worker.call_outcome import REASONS
from fishjam_agents.worker.limits import CallLimits

_LOOK = 0.1
_PATIENCE = 15.0
"""Seconds an answer to a recording may take before nobody waits for it any more."""
_LAG_LIMIT = 0.1
"""Seconds by which the blocks of a recording may be late before times are not exact any more."""
_SILENT_AFTER = 5.0
"""Seconds of zeros after which a microphone is taken for one that this program may not use."""


class ConsoleCall:
    """A call with whoever sits at this machine.

    Args:
        settings: The config.
        pipeline: The bot.
        device: The microphone and the loudspeaker.
    """

    def __init__(self, settings: Config, pipeline: AgentPipeline, device: AudioDevice) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._device = device
        self._by_button = pipeline.turns.mode == "push_to_talk"
        self._task: asyncio.Task[None] | None = None
        self._session: DeviceSession | None = None
        self._conversation: Conversation | None = None
        self._has_keys = False
        self._gaps = 0
        self._is_left = False

    async def run(self) -> None:
        """Talk until the person leaves, the bot ends the call, or a recording has been answered.

        Raises:
            DeviceError: The microphone or the loudspeaker cannot be used, or is gone.
            FishjamAgentsError: The bot failed for good.
        """
        pipeline = self._pipeline
        pipeline.verify()
        if isinstance(pipeline.backend, RemoteBackend):
            raise FishjamAgentsError(
                f"{type(pipeline.backend).__name__} speaks in rooms of Fishjam only: use the command run"
            )
        self._task = asyncio.current_task()
        with interrupts(self._leave), suppress(asyncio.CancelledError):
            await asyncio.to_thread(preload, pipeline)
            rate = audio_sample_rate(pipeline.backend.capabilities.input_rate)
            async with DeviceSession(self._device, rate) as session:
                self._session = session
                say(self._greeting())
                with self._shown(session):
                    freeze_gc()
                    await self._talk(session, rate)
        if not self._is_left and self._task is not None and self._task.cancelling():
            raise asyncio.CancelledError
        say(self._farewell())

    async def _talk(self, session: DeviceSession, rate: int) -> None:
        pipeline = self._pipeline
        limits = CallLimits(self._settings.limits, session, lambda ending: pipeline.stop(REASONS[ending]))
        limits.start()
        following = None
        if isinstance(self._device, WavDevice):
            following = asyncio.create_task(self._follow(session, self._device.seconds), name="recording")
        try:
            await pipeline.run(session, input_format=AudioFormat(rate), room=session)
        finally:
            limits.close()
            if following is not None:
                following.cancel()

    @contextmanager
    def _shown(self, session: DeviceSession) -> Iterator[None]:
        """Show the call, and take keys, while the context lasts."""
        log = self._settings.log
        in_terminal = sys.stdout.isatty()
        view: View = TerminalView() if in_terminal else PlainView()
        has_transcripts = self._pipeline.backend.capabilities.transcripts
        conversation = self._conversation = Conversation(view.line, has_transcripts=has_transcripts)
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle | None = None

        def update() -> None:
            nonlocal timer
            view.update(self._status(session, conversation))
            timer = loop.call_later(1 / UPDATES_PER_SECOND, update)

        with keys(self._pressed) as self._has_keys, view:
            # The view is there: it shows above its live line what is written to standard error.
            setup_logging(log)
            self._pipeline.observers.append(conversation)
            if not in_terminal or log.file is not None:
                self._pipeline.observers.append(EventLog(lambda: self._pipeline.call_id, "console"))
            update()
            try:
                yield
            finally:
                assert timer is not None
                timer.cancel()

    async def _follow(self, session: DeviceSession, seconds: float) -> None:
        """End the call when a recording has been played and answered."""
        assert self._conversation is not None
        session.talking = self._by_button
        rule = EndRule()
        waiting_since: float | None = None
        while True:
            await asyncio.sleep(_LOOK)
            at, state = session.microphone.seconds, self._conversation.state
            if self._by_button and session.talking and at >= seconds:
                session.talking = False
            if state is not BotState.THINKING and not self._pipeline.connecting:
                waiting_since = None
            elif waiting_since is None:
                waiting_since = at
            is_awaited = waiting_since is not None and at - waiting_since < _PATIENCE
            sounds = session.waiting > 0 or state in (BotState.SPEAKING, BotState.PAUSED, BotState.HEARING)
            if rule.over(at, at < seconds or sounds or is_awaited):
                self._pipeline.stop()
                return

    # --- what the person does ---

    def _leave(self) -> None:
        if self._is_left:
            return
        self._is_left = True
        if self._pipeline.call_id is not None:
            self._pipeline.stop()
        elif self._task is not None:
            self._task.cancel()

    def _pressed(self, key: str) -> None:
        session = self._session
        if session is None or self._pipeline.call_id is None:
            return
        match key:
            case "q":
                self._leave()
            case "i" if self._pipeline.speech is not None:
                self._pipeline.interrupt()
            case "m":
                session.muted = not session.muted
            case " " if self._by_button:
                session.talking = not session.talking
            case _:
                pass

    # --- what the person is told ---

    def _greeting(self) -> str:
        device = self._device
        return (
            f"microphone   {device.input_name}{_shown_latency(device.input_latency)}\n"
            f"loudspeaker  {device.output_name}{_shown_latency(device.output_latency)}\n"
            "The bot listens. Ctrl-C ends the call."
        )

    def _farewell(self) -> str:
        device, session = self._device, self._session
        counters = device.counters
        lines = ["goodbye"]
        if self._gaps:
            lines.append(f"Gaps in the bot's voice because its sound came too late: {self._gaps}.")
        if counters.underflows:
            lines.append(f"Gaps in the loudspeaker because this machine was too busy: {counters.underflows}.")
        dropped = 0.0 if session is None else session.microphone.dropped
        if counters.overflows:
            lines.append(
                "Losses of the microphone's sound in the device because this machine was too busy: "
                f"{counters.overflows}."
            )
        if dropped:
            lines.append(
                f"{dropped:.2f} s of the microphone's sound were dropped: this machine was too busy."
            )
        if isinstance(device, WavDevice) and device.lag > _LAG_LIMIT:
            lines.append(f"This machine was up to {1000 * device.lag:.0f} ms late: the times are not exact.")
        return "\n".join(lines)

    def _status(self, session: DeviceSession, conversation: Conversation) -> Status:
        latencies = conversation.latencies
        # Of a call that is over the pipeline tells nothing.
        self._gaps = max(self._gaps, self._pipeline.underruns)
        return Status(
            state=conversation.state,
            level=session.microphone.level,
            muted=session.muted,
            echo=self._echo(),
            latency=latencies[-1] if latencies else None,
            underruns=self._gaps + self._device.counters.underflows,
            saying=conversation.saying,
            replying=conversation.replying,
            hint=self._hint(session),
        )

    def _echo(self) -> str:
        if self._pipeline.hearing.echo == "none":
            return "echo guard off"
        delay = self._pipeline.echo_delay
        return "echo guard on" if delay is None else f"echo after {1000 * delay:.0f} ms, guarded"

    def _hint(self, session: DeviceSession) -> str:
        microphone = session.microphone
        if microphone.is_silent and microphone.seconds > _SILENT_AFTER:
            return "the microphone gives only silence: is it switched off, or may this terminal not use it?"
        if not self._has_keys:
            return "Ctrl-C ends the call"
        talk = (
            ("space ends your turn · " if session.talking else "space to talk · ") if self._by_button else ""
        )
        return f"{talk}i interrupts · m {'unmutes' if session.muted else 'mutes'} · q quits"


def _shown_latency(seconds: float) -> str:
    return f" (latency {1000 * seconds:.0f} ms)" if seconds else ""
