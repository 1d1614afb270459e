"""In-process stand-in for the module `sounddevice`: its names, its arguments, its threads, no hardware.

What it takes and gives is compared with the real module where that can be imported (`test_portaudio`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from fishjam_agents.audio.samples import Samples


class PortAudioError(Exception):
    pass


class CallbackFlags:
    """Status of a callback, as the library has it."""

    def __init__(self, flags: int = 0x0) -> None:
        self._flags = flags

    @property
    def input_underflow(self) -> bool:
        return bool(self._flags & 0x1)

    @property
    def input_overflow(self) -> bool:
        return bool(self._flags & 0x2)

    @property
    def output_underflow(self) -> bool:
        return bool(self._flags & 0x4)

    @property
    def output_overflow(self) -> bool:
        return bool(self._flags & 0x8)

    @property
    def priming_output(self) -> bool:
        return bool(self._flags & 0x10)


@dataclass
class Hardware:
    """What the streams are connected to.

    Attributes:
        sound: What the microphone will hear, int16 mono at its rate.
        played: What the loudspeaker played, int16 mono, block by block.
        echo: Share of it that comes back in the microphone.
        echo_delay: Seconds later.
        fast: How much faster the microphone's clock is than the loudspeaker's.
        pulled: Set to pull both plugs: the streams end.
        hung: Set to let the streams stand still without a word.
    """

    sound: Samples = field(default_factory=lambda: np.zeros(0, np.int16))
    played: list[Samples] = field(default_factory=list)
    echo: float = 0.0
    echo_delay: float = 0.1
    fast: float = 0.0
    pulled: threading.Event = field(default_factory=threading.Event)
    hung: threading.Event = field(default_factory=threading.Event)
    flags: int = 0
    heard: int = 0

    def record(self, frames: int, rate: int, output_rate: int) -> Samples:
        block = np.zeros(frames, np.int16)
        spoken = self.sound[self.heard : self.heard + frames]
        block[: len(spoken)] = spoken
        if self.echo and self.played:
            played = np.concatenate(self.played)
            # Both began together, and count the same time, however late their threads are.
            end = round(((self.heard + frames) / rate - self.echo_delay) * output_rate)
            size = round(frames * output_rate / rate)
            echo = played[max(end - size, 0) : max(end, 0)]
            if len(echo) == size:
                at = np.arange(frames) * size // frames
                block += (echo[at] * self.echo).astype(np.int16)
        self.heard += frames
        return block


class Stream:
    kind = ""

    def __init__(
        self,
        samplerate: float | None = None,
        blocksize: int | None = None,
        device: Any = None,
        channels: int | None = None,
        dtype: Any = None,
        latency: Any = None,
        extra_settings: Any = None,
        callback: Callable[..., None] | None = None,
        finished_callback: Callable[[], None] | None = None,
        clip_off: bool | None = None,
        dither_off: bool | None = None,
        never_drop_input: bool | None = None,
        prime_output_buffers_using_stream_callback: bool | None = None,
    ) -> None:
        assert samplerate
        assert blocksize
        assert channels
        assert dtype == "int16"
        assert callback is not None
        self.library: FakeSoundDevice
        self.samplerate, self.blocksize, self.channels = int(samplerate), blocksize, channels
        self.latency = float(latency)
        self._callback = callback
        self._finished = finished_callback
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.closed = False

    def start(self) -> None:
        if self.library.refuses_to_start:
            raise PortAudioError("Error starting stream: Device unavailable [PaErrorCode -9985]")
        self._thread.start()

    def stop(self, ignore_errors: bool = True) -> None:
        self.abort(ignore_errors)

    def abort(self, ignore_errors: bool = True) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def close(self, ignore_errors: bool = True) -> None:
        self.abort()
        self.closed = True

    def _run(self) -> None:
        hardware = self.library.hardware
        pace = 1 + (hardware.fast if self.kind == "input" else 0)
        began, done = time.monotonic(), 0
        while not self._stopping.is_set() and not hardware.pulled.is_set():
            done += self.blocksize
            self._stopping.wait(max(began + done / self.samplerate / pace - time.monotonic(), 0))
            if self._stopping.is_set() or hardware.hung.is_set():
                continue
            self._call(hardware)
        if self._finished is not None:
            self._finished()

    def _call(self, hardware: Hardware) -> None:
        now = time.monotonic()
        moment = SimpleNamespace(
            inputBufferAdcTime=now - self.latency, currentTime=now, outputBufferDacTime=now + self.latency
        )
        status = CallbackFlags(hardware.flags)
        # A buffer that is gone when the callback returns, as the library's is.
        buffer = bytearray(self.blocksize * self.channels * 2)
        if self.kind == "input":
            mono = hardware.record(self.blocksize, self.samplerate, self.library.output_rate)
            buffer[:] = np.repeat(mono, self.channels).tobytes()
            self._callback(memoryview(buffer).toreadonly(), self.blocksize, moment, status)
        else:
            self._callback(memoryview(buffer), self.blocksize, moment, status)
            samples = np.frombuffer(bytes(buffer), np.int16).reshape(-1, self.channels)
            assert (samples == samples[:, :1]).all()
            hardware.played.append(samples[:, 0].copy())
        buffer[:] = b"\x55" * len(buffer)


class FakeSoundDevice:
    """The module."""

    PortAudioError = PortAudioError
    CallbackFlags = CallbackFlags

    def __init__(
        self, input_rate: int = 48000, output_rate: int = 44100, channels: int = 2, mono: bool = True
    ) -> None:
        self.hardware = Hardware()
        self.input_rate, self.output_rate = input_rate, output_rate
        self.mono = mono
        self.refuses_to_start = False
        self.streams: list[Stream] = []
        self.devices = [
            self._device(0, "Built-in Microphone", channels, 0, input_rate),
            self._device(1, "Built-in Output", 0, channels, output_rate),
            self._device(2, "USB Headset", 1, 2, 48000),
            self._device(3, "USB Camera", 1, 0, 16000),
        ]
        library = self

        class RawInputStream(Stream):
            kind = "input"

            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                self.library = library
                library.streams.append(self)

        class RawOutputStream(RawInputStream):
            kind = "output"

        self.RawInputStream = RawInputStream
        self.RawOutputStream = RawOutputStream

    @staticmethod
    def _device(index: int, name: str, inputs: int, outputs: int, rate: int) -> dict[str, Any]:
        return {
            "name": name,
            "index": index,
            "hostapi": 0,
            "max_input_channels": inputs,
            "max_output_channels": outputs,
            "default_low_input_latency": 0.01,
            "default_low_output_latency": 0.01,
            "default_high_input_latency": 0.1,
            "default_high_output_latency": 0.1,
            "default_samplerate": float(rate),
        }

    def query_devices(self, device: int | str | None = None, kind: str | None = None) -> Any:
        if device is None and kind is None:
            return tuple(self.devices)
        fits = [each for each in self.devices if kind is None or each[f"max_{kind}_channels"]]
        if device is None:
            if not fits:
                raise PortAudioError("Error querying device -1")
            return fits[0]
        if isinstance(device, int):
            if not 0 <= device < len(self.devices):
                raise PortAudioError(f"Error querying device {device}")
            return self.devices[device]
        named = [each for each in fits if device.lower() in each["name"].lower()]
        if not named:
            raise ValueError(f"No {kind} device matching {device!r}")
        if len(named) > 1:
            shown = "\n".join(f"[{each['index']}] {each['name']}, ALSA" for each in named)
            raise ValueError(f"Multiple {kind} devices found for {device!r}:\n{shown}")
        return named[0]

    def query_hostapis(self, index: int | None = None) -> Any:
        return {
            "name": "ALSA",
            "devices": [0, 1, 2, 3],
            "default_input_device": 0,
            "default_output_device": 1,
        }

    def check_input_settings(
        self,
        device: Any = None,
        channels: int | None = None,
        dtype: Any = None,
        extra_settings: Any = None,
        samplerate: float | None = None,
    ) -> None:
        if channels == 1 and not self.mono:
            raise PortAudioError("Invalid number of channels [PaErrorCode -9998]")

    def check_output_settings(
        self,
        device: Any = None,
        channels: int | None = None,
        dtype: Any = None,
        extra_settings: Any = None,
        samplerate: float | None = None,
    ) -> None:
        self.check_input_settings(device, channels, dtype, extra_settings, samplerate)
