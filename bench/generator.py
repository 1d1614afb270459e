"""The load: a server that speaks just enough of Fishjam's agent socket, in a process of its own.

`python -m bench.generator '{"sound": "conversation"}'`, then one request per line: `start` when all calls
are there, `measure` to count for some seconds, `trials` for the results of the interruptions. Every call is
sent a frame each 20 ms by absolute deadlines; the calls are spread over the 20 ms.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Sequence
from typing import Any

from bench import sounds
from bench.child import requests, say
from bench.wire import ServerSocket, binary_frame, unmasked
from fishjam_agents.protocol import Track, TrackDataEncoder, TrackType, encode_authenticated

_SLOTS = 20
"""The 20 ms have a slot per millisecond, the grain of asyncio's timers."""
_PCM = 640
_KEY = 8
"""Bytes of a frame's audio by which its echo is recognised."""
_AUTH_REQUEST, _ADD_TRACK, _INTERRUPT = 0x0A, 0x12, 0x2A
"""First bytes of the agent's messages (Fishjam protos, `agent_notifications.proto`)."""
_MODEL_REPLY = 1920
"""Bytes of audio in a reply of the model: 60 ms at 16 kHz."""
_MODEL_PERIOD = 12
"""Ticks between two replies of the model on one call: long enough for the first to have been played."""


class Load:
    """All calls, and what is counted of them."""

    def __init__(self, frames: list[bytes], scripts: Sequence[sounds.Trial] = ()) -> None:
        encoder = TrackDataEncoder("caller", Track("microphone", TrackType.AUDIO, '{"type":"microphone"}'))
        self.frames = [binary_frame(encoder.encode(frame)) for frame in frames]
        self.positions = {int.from_bytes(frame[:_KEY]): at for at, frame in enumerate(frames)}
        self.scripts = [(trial, [binary_frame(encoder.encode(f)) for f in trial.frames]) for trial in scripts]
        self.loop = asyncio.get_running_loop()
        self.calls: list[Call] = []
        self.models: dict[int, Model] = {}
        self.window = (0.0, 0.0)
        self.sent = 0
        self.delays: list[float] = []
        self.first_audio: list[float] = []
        self.lag = 0.0
        self._slot = 0
        self._zero = 0.0

    def start(self) -> None:
        """Begin to speak on every call."""
        self._zero = self.loop.time()
        self._slot = 0
        self._tick()

    def _tick(self) -> None:
        now = self.loop.time()
        if self.window[0] <= now < self.window[1]:
            self.lag = max(self.lag, now - self._zero - self._slot * 0.02 / _SLOTS)
        while self._zero + self._slot * 0.02 / _SLOTS <= now:
            tick, slot = divmod(self._slot, _SLOTS)
            for call in self.calls[slot::_SLOTS]:
                call.speak(tick)
            self._slot += 1
        self.loop.call_at(self._zero + self._slot * 0.02 / _SLOTS, self._tick)

    async def measure(self, seconds: float) -> dict[str, Any]:
        """Count for `seconds`, wait for the last echoes, report."""
        self.sent, self.lag = 0, 0.0
        self.delays, self.first_audio = [], []
        now = self.loop.time()
        self.window = (now, now + seconds)
        await asyncio.sleep(seconds + 0.3)
        return {
            "sent": self.sent,
            "delays_ms": [round(delay * 1000, 3) for delay in self.delays],
            "first_audio_ms": [round(delay * 1000, 3) for delay in self.first_audio],
            "lag_ms": round(self.lag * 1000, 3),
        }


class Call(ServerSocket):
    """One agent's connection."""

    def __init__(self, load: Load) -> None:
        super().__init__()
        self._load = load
        self._number = 0
        self._sent_at: dict[int, float] = {}
        self._script: list[bytes] | None = None
        self._onset = -1
        self.level = 0.0
        self.onset_at: float | None = None
        self.interrupts: list[float] = []
        self.asked_at: float | None = None

    def message(self, mask: bytes, payload: bytes) -> None:
        """Take what the agent sent."""
        kind = payload[0] ^ mask[0]
        if kind == _AUTH_REQUEST:
            self.transport.write(binary_frame(encode_authenticated()))
        elif kind == _ADD_TRACK and len(payload) < _PCM:
            self._join()
        elif kind == _INTERRUPT:
            self.interrupts.append(self._load.loop.time())
        elif self.asked_at is not None:
            self._load.first_audio.append(self._load.loop.time() - self.asked_at)
            self.asked_at = None
        elif len(payload) > _PCM:
            self._echo(unmasked(mask, payload, len(payload) - _PCM, _KEY))

    def _join(self) -> None:
        self._number = len(self._load.calls)
        self._load.calls.append(self)
        if self._load.scripts:
            trial, self._script = self._load.scripts[self._number % len(self._load.scripts)]
            self._onset, self.level = trial.onset, trial.level

    def _echo(self, key: int) -> None:
        load = self._load
        position = load.positions.get(key)
        sent_at = None if position is None else self._sent_at.pop(position, None)
        if sent_at is not None and load.window[0] <= sent_at < load.window[1]:
            load.delays.append(load.loop.time() - sent_at)

    def speak(self, tick: int) -> None:
        """Send the frame of a tick."""
        if self.transport.is_closing():
            return
        load = self._load
        if self._script is not None:
            if tick < len(self._script):
                self.transport.write(self._script[tick])
                if tick == self._onset:
                    self.onset_at = load.loop.time()
            return
        # A prime stride: no two of up to 250 calls say the same at the same time.
        position = (tick + self._number * 7) % len(load.frames)
        now = load.loop.time()
        self._sent_at[position] = now
        if load.window[0] <= now < load.window[1]:
            load.sent += 1
        self.transport.write(load.frames[position])
        if self._number in load.models and (tick + self._number) % _MODEL_PERIOD == 0:
            self.asked_at = load.loop.time() if load.window[0] <= now < load.window[1] else None
            load.models[self._number].reply()

    def result(self) -> dict[str, Any]:
        """Return the interruption as measured: level, number of early ones, milliseconds."""
        onset = self.onset_at
        if onset is None:
            return {"level": self.level, "early": 0, "ms": None}
        after = next((at for at in self.interrupts if at >= onset), None)
        early = sum(at < onset for at in self.interrupts)
        return {
            "level": self.level,
            "early": early,
            "ms": None if after is None else round((after - onset) * 1000, 1),
        }


class Model(ServerSocket):
    """A model that speaks when it is told to."""

    _reply = binary_frame(sounds.noise(_MODEL_REPLY / 2 / sounds.RATE, -30, seed=3).tobytes())

    def __init__(self, load: Load) -> None:
        super().__init__()
        self._load = load

    def opened(self) -> None:
        """Its call's number is the path."""
        self._load.models[int(self.path.strip("/"))] = self

    def message(self, mask: bytes, payload: bytes) -> None:
        """It listens to nothing."""

    def reply(self) -> None:
        """Send one reply."""
        if not self.transport.is_closing():
            self.transport.write(self._reply)


async def main(sound: str, trials: int = 0) -> None:
    """Serve until the parent hangs up."""
    spoken = sounds.conversation() if sound == "conversation" else sounds.quiet()
    load = Load(spoken, sounds.trials(trials) if trials else ())
    server = await load.loop.create_server(lambda: Call(load), "127.0.0.1", 0)
    models = await load.loop.create_server(lambda: Model(load), "127.0.0.1", 0)
    # The collector's pauses would be measured as somebody else's delay.
    gc.freeze()
    gc.disable()
    say(port=server.sockets[0].getsockname()[1], model_port=models.sockets[0].getsockname()[1])
    async for request in requests():
        match request["do"]:
            case "start":
                load.start()
                say()
            case "measure":
                say(**await load.measure(request["seconds"]))
            case "trials":
                say(trials=[call.result() for call in load.calls])


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
