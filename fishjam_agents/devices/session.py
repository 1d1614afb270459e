"""A room of two on one machine: whoever sits at its microphone, and the bot on its loudspeaker."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fishjam_agents.audio.samples import Samples
from fishjam_agents.devices.capture import CaptureBuffer
from fishjam_agents.devices.device import AudioDevice
from fishjam_agents.devices.playout_queue import PlayoutQueue
from fishjam_agents.devices.track import DeviceTrack
from fishjam_agents.errors import DeviceError, FishjamAgentsError
from fishjam_agents.session import MediaServer, PeerType, PeerView

PERSON = "you"
"""Peer id of whoever sits at the microphone."""
GONE = 4.0
"""Seconds without a sign of life after which a device counts as gone. Bluetooth headsets take two of them to
change their profile when the microphone is opened."""
_LOOK = 0.5
_STOP_DEADLINE = 8.0
"""Seconds a device may take to stop; one that was pulled out may never."""


@dataclass(frozen=True, slots=True)
class MicrophoneTrack:
    """The person's track. Is a `session.TrackInfo`."""

    id: str = "microphone"
    metadata: str = '{"type": "microphone"}'


_MICROPHONE = MicrophoneTrack()


@dataclass(frozen=True, slots=True)
class MicrophoneFrame:
    """20 ms of the microphone. Is a `session.AudioFrame`."""

    data: bytes
    peer_id: str = PERSON
    track: MicrophoneTrack = _MICROPHONE


class DeviceSession:
    """The bot's connection to a microphone and a loudspeaker. Is a `session.Session` and a `RoomView`.

    Time is the loop's alone: what the microphone hears is handed on as it comes, and the loudspeaker is sent
    what it takes. So nothing grows where the clocks of the devices differ. To be used as an async context
    manager on the loop of the call; the devices run meanwhile.

    Args:
        device: The microphone and the loudspeaker.
        sample_rate: Hz of the audio the bot is given.

    Attributes:
        media_server: Rules for the pipeline: the bot's track has the loudspeaker's own rate.
        microphone: What comes of the microphone.
    """

    def __init__(self, device: AudioDevice, sample_rate: int) -> None:
        self.media_server = MediaServer(track_rates=(device.output_rate,))
        self.microphone = CaptureBuffer(device.input_rate, sample_rate, self._deliver)
        self._device = device
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._queue = PlayoutQueue(device.output_rate, time.monotonic)
        self._hear: Callable[[Any], None] | None = None
        self._captured_at = self._rendered_at = 0.0
        self._was_missed = False
        self._watch: asyncio.TimerHandle | None = None
        self._muted = False
        self._talking = False
        self._subscribers: list[Callable[[], None]] = []

    async def __aenter__(self) -> DeviceSession:
        self._captured_at = self._rendered_at = time.monotonic()
        self._device.start(self._capture, self._render, self._failed)
        self._watch = self._loop.call_later(_LOOK, self._look)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self.close()
        stopped: asyncio.Future[FishjamAgentsError | None] = self._loop.create_future()
        # Not a thread of the loop's: the interpreter would wait at its end for one that never returns.
        threading.Thread(target=self._stop, args=(stopped,), name="device-stop", daemon=True).start()
        await asyncio.wait({stopped}, timeout=_STOP_DEADLINE)
        # What ended the call comes first.
        if exc[0] is None and stopped.done() and (error := stopped.result()) is not None:
            raise error

    def _stop(self, stopped: asyncio.Future[FishjamAgentsError | None]) -> None:
        error: FishjamAgentsError | None = None
        try:
            self._device.stop()
        except FishjamAgentsError as raised:
            error = raised
        finally:
            self._on_loop(lambda: None if stopped.done() else stopped.set_result(error))

    def close(self) -> None:
        """End the session: the call is over. Does nothing when it is."""
        if not self._over.done():
            self._over.set_result(None)

    # --- Session ---

    async def listen(self, hear: Callable[[Any], None]) -> None:
        """Call `hear` with every `MicrophoneFrame`, until the session ends.

        Raises:
            DeviceError: The microphone or the loudspeaker is gone.
        """
        self._hear = hear
        try:
            await asyncio.shield(self._over)
        finally:
            self._hear = None

    async def receive(self) -> AsyncIterator[Any]:
        """Yield what `listen` calls back with.

        Raises:
            DeviceError: As `listen`.
        """
        frames: asyncio.Queue[Any] = asyncio.Queue()
        listening = asyncio.create_task(self.listen(frames.put_nowait), name="device-session")
        listening.add_done_callback(lambda _: frames.put_nowait(None))
        try:
            while (frame := await frames.get()) is not None:
                yield frame
            listening.result()
        finally:
            listening.cancel()

    async def add_track(self, options: Any) -> DeviceTrack:
        """Publish the bot's track; `options` has its `sample_rate`."""
        return DeviceTrack(self._queue, options.sample_rate, self._device.output_rate, self._loop.time)

    async def capture_image(self, track_id: str) -> None:
        """Do nothing: there is no camera."""

    # --- RoomView ---

    @property
    def peers(self) -> Mapping[str, PeerView]:
        """The person, alone: the bot need not be told of itself."""
        track = {"type": "microphone", "paused": self._muted}
        about = {"talking": True} if self._talking else {}
        person = PeerView(
            PERSON, PeerType.WEBRTC, True, tracks={_MICROPHONE.id: track}, client_metadata=about
        )
        return {PERSON: person}

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after every change; returns what ends it."""
        self._subscribers.append(changed)

        def unsubscribe() -> None:
            if changed in self._subscribers:
                self._subscribers.remove(changed)

        return unsubscribe

    # --- what the person does ---

    @property
    def muted(self) -> bool:
        """True if nothing of the microphone reaches the bot."""
        return self._muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._muted = muted
        self._tell()

    @property
    def talking(self) -> bool:
        """True while the button of push to talk is down (docs/turn-taking.md)."""
        return self._talking

    @talking.setter
    def talking(self, talking: bool) -> None:
        self._talking = talking
        self._tell()

    def _tell(self) -> None:
        for changed in tuple(self._subscribers):
            changed()

    # --- what the devices do ---

    @property
    def waiting(self) -> float:
        """Seconds of the bot's voice that wait for the loudspeaker."""
        return self._queue.waiting

    def _capture(self, samples: Samples) -> None:
        self._captured_at = time.monotonic()
        self.microphone.put(samples)

    def _render(self, block: Samples) -> None:
        self._rendered_at = time.monotonic()
        self._queue.take(block)

    def _deliver(self, frame: Samples) -> None:
        if self._hear is not None and not self._muted:
            self._hear(MicrophoneFrame(frame.tobytes()))

    def _failed(self, error: DeviceError) -> None:
        self._on_loop(lambda: self._fail(error))

    def _on_loop(self, act: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(act)
        except RuntimeError:
            # A device may tell of its end when the loop is over, too: nobody needs to know.
            return

    def _fail(self, error: DeviceError) -> None:
        if not self._over.done():
            self._over.set_exception(error)
            # Whoever listens is told. Where nobody does any more, it is no news.
            self._over.exception()

    def _look(self) -> None:
        """See whether the devices still call. They are missed twice: this machine may just have woken up."""
        device, now = self._device, time.monotonic()
        missing = None
        if now - self._captured_at > GONE:
            missing = f"the microphone {device.input_name!r} gives no sound any more"
        elif now - self._rendered_at > GONE:
            missing = f"the loudspeaker {device.output_name!r} takes no sound any more"
        if missing is not None and self._was_missed:
            self._fail(
                DeviceError(
                    f"{missing}: plug it in again, or choose another one with --device (see --list-devices)"
                )
            )
            return
        self._was_missed = missing is not None
        self._watch = self._loop.call_later(_LOOK, self._look)
