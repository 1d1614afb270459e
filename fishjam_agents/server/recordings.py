"""Recordings of compositions: what the rooms forwarded to one sounded like, mixed into a file.

States (Fishjam docs, Recordings): active, finished, then available with a file, or failed.
"""

from __future__ import annotations

import asyncio
import io
import json
import secrets
import uuid
import wave
from collections.abc import Callable
from typing import Any

from ..audio.samples import Samples
from .errors import RequestError
from .media.clock import RoomClock
from .media.mix import RECORDING_RATE, Mix
from .media.recorder import Tap
from .recording_settings import RecordingConfig, RecordingFilter
from .room import Room
from .rooms import Rooms
from .tasks import Tasks

MAX_SECONDS = 3600.0
"""A recording ends by itself after this: what it holds, 32 kB for each second, is in memory. Our choice."""

MIX_SECONDS = 60.0
"""Seconds that making the file may take; the recording has failed after that. Our choice."""


class CompositionRecording:
    """One recording.

    Attributes:
        id: Its id.
        config: What it was made with.
        status: `active`, `finished`, `available` or `failed`.
        stopping: Set when it is to end.
        files: Name to content, WAV, 16 kHz mono.
    """

    def __init__(self, config: RecordingConfig, position: float) -> None:
        self.id = str(uuid.uuid4())
        self.config = config
        self.status = "active"
        self.stopping = asyncio.Event()
        self.files: dict[str, bytes] = {}
        self._position = position
        self._mix = Mix()
        self._taps: dict[str, Tap] = {}

    def take(self, room: Room) -> None:
        """Record a room that is forwarded to the composition."""
        if self.config.audio and room.id not in self._taps:
            self._taps[room.id] = room.tap(self._position, lambda _, at, samples: self._mix.add(at, samples))

    def detach(self) -> None:
        """Record nothing more."""
        for tap in self._taps.values():
            tap.detach()

    def make_file(self, position: float) -> bytes:
        """The WAV file of all up to room time `position`, in seconds. Once detached, any thread may ask."""
        # Somebody who recorded nothing gets a second of silence: a file without sound is no WAV to many.
        length = round((position - self._position) * RECORDING_RATE) if self._taps else 0
        return _wav(self._mix.samples(length or RECORDING_RATE))


class Recordings:
    """All recordings of the server.

    Args:
        rooms: What may be forwarded, and where status changes are told.
        clock: Room time.
        tasks: Who owns the recordings' ends.
        url: The server's base URL, below which the files are.
    """

    def __init__(self, rooms: Rooms, clock: RoomClock, tasks: Tasks, url: Callable[[], str]) -> None:
        self._rooms = rooms
        self._clock = clock
        self._tasks = tasks
        self._url = url
        self._recordings: dict[str, CompositionRecording] = {}

    def create(self, config: RecordingConfig) -> CompositionRecording:
        """Begin to record, now."""
        recording = CompositionRecording(config, self._clock.position)
        self._recordings[recording.id] = recording
        for room in self._rooms:
            self._take(recording, room)
        self._notify(recording)
        self._tasks.spawn(self._run(recording), f"recording {recording.id}")
        return recording

    def room_forwarded(self, room: Room) -> None:
        """A room was linked to a composition: recordings of it begin to hear the room."""
        for recording in self._recordings.values():
            if recording.status == "active":
                self._take(recording, room)

    def matching(self, wanted: RecordingFilter) -> list[CompositionRecording]:
        """The recordings a filter lets through, oldest first."""
        recordings = self._recordings.values()
        return [item for item in recordings if wanted.matches(item.status, item.config.metadata)]

    def get(self, recording_id: str) -> CompositionRecording:
        """The recording of that id.

        Raises:
            RequestError: 404, there is none.
        """
        recording = self._recordings.get(recording_id)
        if recording is None:
            raise RequestError(404, f"Recording {recording_id} does not exist")
        return recording

    def delete(self, recording_id: str) -> None:
        """Delete a recording with its file; does nothing when there is none.

        Raises:
            RequestError: 409, it is still active.
        """
        recording = self._recordings.get(recording_id)
        if recording is not None and recording.status == "active":
            raise RequestError(409, f"Recording {recording_id} is active: stop it first")
        self._recordings.pop(recording_id, None)

    def stop_all(self) -> None:
        """End every active recording: the room clock stops with the server."""
        for recording in self._recordings.values():
            recording.stopping.set()

    def as_json(self, recording: CompositionRecording) -> dict[str, Any]:
        """A recording as REST answers it."""
        base = f"{self._url()}/recordings/{recording.id}/files"
        return {
            "id": recording.id,
            "status": recording.status,
            "source": dict(recording.config.source),
            "metadata": recording.config.metadata,
            "files": [{"url": f"{base}/{name}"} for name in recording.files],
        }

    def _take(self, recording: CompositionRecording, room: Room) -> None:
        if room.forwarding is not None and room.forwarding.url == recording.config.composition_url:
            recording.take(room)

    async def _run(self, recording: CompositionRecording) -> None:
        status = "failed"
        try:
            try:
                async with asyncio.timeout(MAX_SECONDS):
                    await recording.stopping.wait()
            except TimeoutError:
                pass
            recording.detach()
            self._change(recording, "finished")
            async with asyncio.timeout(MIX_SECONDS):
                content = await asyncio.to_thread(recording.make_file, self._clock.position)
            # Files are fetched without a token, as from a store of the cloud: the name must not be guessed.
            recording.files[f"{secrets.token_urlsafe(16)}.wav"] = content
            status = "available"
        except TimeoutError:
            pass
        finally:
            self._change(recording, status)

    def _change(self, recording: CompositionRecording, status: str) -> None:
        recording.status = status
        if recording.id in self._recordings:
            self._notify(recording)

    def _notify(self, recording: CompositionRecording) -> None:
        self._rooms.notifications.recording_status_changed(
            recording.id, recording.status, json.dumps(recording.config.metadata)
        )


def _wav(samples: Samples) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RECORDING_RATE)
        file.writeframes(samples.astype("<i2", copy=False).tobytes())
    return content.getvalue()
