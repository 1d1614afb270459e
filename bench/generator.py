"""The load: a server that speaks just enough of Fishjam's agent socket, in a process of its own.

`python -m bench.generator '{"sound": "conversation"}'`, then one request per line: `start` when all calls
are there, `measure` to count for some seconds, `trials` for the results of the interruptions. Every
microphone of a call is sent a frame each 20 ms by absolute deadlines; they are spread over the 20 ms. A call
whose path ends with `witness` is measured apart from the others.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from bench import sounds
from bench.child import requests, say
from bench.wire import ServerSocket, binary_frame, unmasked
from fishjam_agents.protocol import Track, TrackDataEncoder, TrackType, encode_authenticated

clock = time.perf_counter
"""The clock of all that is timed here: the time of uvloop stands still within a turn of the loop."""
_SLOTS = 20
"""The 20 ms have a slot per millisecond, the grain of asyncio's timers."""
_PCM = 640
_STRIDE = 83
"""Frames by which a call is ahead of the one before: few say the same, or listen, at the same time."""
_APART = 5
"""Slots between two microphones of a call: those of four people are spread over the 20 ms, too."""
_AUTH_REQUEST, _ADD_TRACK, _INTERRUPT = 0x0A, 0x12, 0x2A
"""First bytes of the agent's messages (Fishjam protos, `agent_notifications.proto`)."""
_MODEL_REPLY = 1920
"""Bytes of audio in a reply of the model: 60 ms at 16 kHz."""
_MODEL_PERIOD = 12
"""Ticks between two replies of the model on one call: long enough for the first to have been played."""


class Load:
    """All calls, and what is counted of them."""

    def __init__(self, scene: sounds.Scene, scripts: Sequence[sounds.Trial] = ()) -> None:
        encoders = [_encoder(number) for number in range(len(scene.microphones))]
        self.microphones = [
            [binary_frame(encoder.encode(frame)) for frame in frames]
            for encoder, frames in zip(encoders, scene.microphones, strict=True)
        ]
        spoken = scene.microphones[0]
        self.length = len(spoken)
        self.positions = {int.from_bytes(frame[: sounds.KEY]): at for at, frame in enumerate(spoken)}
        self.answered = [frame[: sounds.KEY] in scene.answered for frame in spoken]
        self.scripts = [
            (trial, [binary_frame(encoders[0].encode(f)) for f in trial.frames]) for trial in scripts
        ]
        self.loop = asyncio.get_running_loop()
        self.calls: list[Call] = []
        self.models: dict[int, Model] = {}
        self.window = (0.0, 0.0)
        self.sent = 0
        self.delays: list[float] = []
        self.witness: list[float] = []
        self.first_audio: list[float] = []
        self.lag = 0.0
        self.ahead = 0.0
        self._slot = 0
        self._zero = 0.0

    def start(self) -> None:
        """Begin to speak on every call."""
        self._zero = self.loop.time()
        self._slot = 0
        self._tick()

    def _tick(self) -> None:
        now = self.loop.time()
        if self.counts(clock()):
            self.lag = max(self.lag, now - self._zero - self._slot * 0.02 / _SLOTS)
        while self._zero + self._slot * 0.02 / _SLOTS <= now:
            tick, slot = divmod(self._slot, _SLOTS)
            for call in self.calls[slot::_SLOTS]:
                call.speak(tick)
            for number in range(1, len(self.microphones)):
                for call in self.calls[(slot - _APART * number) % _SLOTS :: _SLOTS]:
                    call.send(number, tick)
            self._slot += 1
        self.loop.call_at(self._zero + self._slot * 0.02 / _SLOTS, self._tick)

    def counts(self, at: float) -> bool:
        """True if what is sent at that time is counted."""
        return self.window[0] <= at < self.window[1]

    async def measure(self, seconds: float) -> dict[str, Any]:
        """Count for `seconds`, wait for the last echoes, report."""
        self.sent, self.lag, self.ahead = 0, 0.0, 0.0
        self.delays, self.witness, self.first_audio = [], [], []
        now = clock()
        self.window = (now, now + seconds)
        cpu = time.process_time()
        await asyncio.sleep(seconds)
        cpu = time.process_time() - cpu
        await asyncio.sleep(0.3)
        return {
            "cpu": round(cpu / seconds, 3),
            "sent": self.sent,
            "delays_ms": [round(delay * 1000, 3) for delay in self.delays],
            "witness_ms": [round(delay * 1000, 3) for delay in self.witness],
            "first_audio_ms": [round(delay * 1000, 3) for delay in self.first_audio],
            "lag_ms": round(self.lag * 1000, 3),
            "ahead_ms": round(self.ahead * 1000, 3),
        }


class Call(ServerSocket):
    """One agent's connection."""

    def __init__(self, load: Load) -> None:
        super().__init__()
        self._load = load
        self._number = 0
        self._is_witness = False
        self._plays_until = 0.0
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
            self.interrupts.append(clock())
        elif self.asked_at is not None:
            self._load.first_audio.append(clock() - self.asked_at)
            self.asked_at = None
        elif len(payload) > _PCM:
            self._echo(unmasked(mask, payload, len(payload) - _PCM, sounds.KEY))

    def _join(self) -> None:
        self._is_witness = self.path.endswith("witness")
        self._number = len(self._load.calls)
        self._load.calls.append(self)
        if self._load.scripts:
            trial, self._script = self._load.scripts[self._number % len(self._load.scripts)]
            self._onset, self.level = trial.onset, trial.level

    def _echo(self, key: int) -> None:
        load, now = self._load, clock()
        # As Fishjam plays it: what comes late plays at once, what comes early waits.
        self._plays_until = max(self._plays_until, now) + 0.02
        if load.counts(now):
            load.ahead = max(load.ahead, self._plays_until - now)
        position = load.positions.get(key)
        sent_at = None if position is None else self._sent_at.pop(position, None)
        if sent_at is not None and load.counts(sent_at):
            (load.witness if self._is_witness else load.delays).append(now - sent_at)

    def speak(self, tick: int) -> None:
        """Send the frame of a tick."""
        if self.transport.is_closing():
            return
        load = self._load
        if self._script is not None:
            if tick < len(self._script):
                self.transport.write(self._script[tick])
                if tick == self._onset:
                    self.onset_at = clock()
            return
        position = (tick + self._number * _STRIDE) % load.length
        now = clock()
        if load.answered[position]:
            self._sent_at[position] = now
            load.sent += not self._is_witness and load.counts(now)
        self.transport.write(load.microphones[0][position])
        if self._number in load.models and (tick + self._number) % _MODEL_PERIOD == 0:
            self.asked_at = clock() if load.counts(now) else None
            load.models[self._number].reply()

    def send(self, microphone: int, tick: int) -> None:
        """Send what another microphone than the speaker's has at a tick."""
        if not self.transport.is_closing():
            frames = self._load.microphones[microphone]
            self.transport.write(frames[(tick + self._number * _STRIDE) % self._load.length])

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
    load = Load(sounds.scene(sound), sounds.trials(trials) if trials else ())
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


def _encoder(microphone: int) -> TrackDataEncoder:
    track = Track(f"microphone-{microphone}", TrackType.AUDIO, '{"type":"microphone"}')
    return TrackDataEncoder(f"caller-{microphone}", track)


if __name__ == "__main__":
    # Where it is installed, on the loop that costs less: this is not what is measured.
    runner = asyncio if find_spec("uvloop") is None else import_module("uvloop")
    runner.run(main(**json.loads(sys.argv[1])))
