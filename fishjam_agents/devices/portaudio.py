"""Microphones and loudspeakers of this machine, by PortAudio (the library `sounddevice`)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Literal

import numpy as np

from fishjam_agents.audio.formats import FRAMES_PER_SECOND
from fishjam_agents.audio.samples import Samples
from fishjam_agents.devices.device import Capture, Counters, Failed, Render
from fishjam_agents.errors import ConfigError, DeviceError, MissingExtraError

LATENCY = 0.03
"""Seconds of latency that devices are asked for; they say how much they have. Less is not safe in Python,
whose threads wait for each other up to 5 ms, and no echo is looked for that comes back within 40 ms."""
_RENDER_BLOCKS = 100
"""Blocks a second that a loudspeaker asks for."""

Kind = Literal["input", "output"]
_NOUNS: dict[Kind, str] = {"input": "microphone", "output": "loudspeaker"}
_ELSE = "or play a file with --in and --out"


def load_portaudio() -> Any:
    """Import `sounddevice`.

    Raises:
        MissingExtraError: It is not installed.
        DeviceError: The library PortAudio, which it needs, is not there.
    """
    try:
        return import_module("sounddevice")
    except ImportError as error:
        raise MissingExtraError("the command console", "console") from error
    except OSError as error:
        raise DeviceError(
            "the library PortAudio is missing: install it with apt install libportaudio2 (Debian, Ubuntu), "
            f"dnf install portaudio (Fedora) or pacman -S portaudio (Arch), {_ELSE}"
        ) from error


def describe_devices() -> str:
    """Return a table of this machine's devices: number, name, channels, with the defaults marked.

    Raises:
        DeviceError: There is none.
    """
    library = load_portaudio()
    devices = library.query_devices()
    if not len(devices):
        raise DeviceError(f"this machine has no microphone and no loudspeaker: plug one in, {_ELSE}")
    defaults = {kind: _default(library, kind) for kind in _NOUNS}
    lines = ["   number  in  out  name"]
    for device in devices:
        number = device["index"]
        marks = (">" if number == defaults["input"] else " ") + ("<" if number == defaults["output"] else " ")
        inputs, outputs = device["max_input_channels"], device["max_output_channels"]
        system = library.query_hostapis(device["hostapi"])["name"]
        lines.append(f"{marks} {number:7}  {inputs:2}  {outputs:3}  {device['name']} ({system})")
    lines.append("> is the microphone and < the loudspeaker that is used without --device")
    return "\n".join(lines)


def _default(library: Any, kind: Kind) -> int | None:
    try:
        number: int = library.query_devices(kind=kind)["index"]
    except (library.PortAudioError, ValueError):
        return None
    return number


class PortAudioDevice:
    """A microphone and a loudspeaker, each at its own rate. Is an `AudioDevice`.

    Args:
        names: Names, or parts of them, or numbers: of both, or of the microphone and of the loudspeaker; none
            takes what the system has as its default.

    Raises:
        ConfigError: A name fits no device, or several.
        DeviceError: There is no device, or it cannot be used.
        MissingExtraError: The library is not installed.

    Attributes:
        input_rate: Hz of the microphone.
        output_rate: Hz of the loudspeaker.
        input_name: The microphone.
        output_name: The loudspeaker.
        input_latency: Seconds from a sound to its block; 0 before `start`.
        output_latency: Seconds from a block to its sound; 0 before `start`.
        counters: How often it failed to keep time.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        if len(names) > 2:
            raise ConfigError("give --device once for both, or twice: the microphone, then the loudspeaker")
        library = self._library = load_portaudio()
        source, sink = (names[0], names[-1]) if names else (None, None)
        self._input = _find(library, source, "input")
        self._output = _find(library, sink, "output")
        self.input_name: str = self._input["name"]
        self.output_name: str = self._output["name"]
        self.input_rate = round(self._input["default_samplerate"])
        self.output_rate = round(self._output["default_samplerate"])
        self.input_latency = self.output_latency = 0.0
        self.counters = Counters()
        self._streams: list[Any] = []
        self._stopping = False

    def start(self, capture: Capture, render: Render, failed: Failed) -> None:
        """Part of `AudioDevice`."""
        source = self._open("input", partial(self._captured, capture), failed)
        sink = self._open("output", partial(self._rendered, render), failed)
        self.input_latency, self.output_latency = source.latency, sink.latency

    def stop(self) -> None:
        """Part of `AudioDevice`."""
        self._stopping = True
        streams, self._streams = self._streams, []
        for stream in streams:
            stream.abort()
        for stream in streams:
            stream.close()

    def _open(self, kind: Kind, callback: Callable[..., None], failed: Failed) -> Any:
        library = self._library
        info, rate = (self._input, self.input_rate) if kind == "input" else (self._output, self.output_rate)
        make = library.RawInputStream if kind == "input" else library.RawOutputStream
        channels = _channels(library, kind, info, rate)
        try:
            stream = make(
                samplerate=rate,
                blocksize=rate // (FRAMES_PER_SECOND if kind == "input" else _RENDER_BLOCKS),
                device=info["index"],
                channels=channels,
                dtype="int16",
                latency=LATENCY,
                callback=partial(callback, channels),
                finished_callback=lambda: self._finished(kind, info["name"], failed),
            )
            self._streams.append(stream)
            stream.start()
        except library.PortAudioError as error:
            self.stop()
            raise DeviceError(
                f"the {_NOUNS[kind]} {info['name']!r} cannot be used ({error}): close what else uses it, "
                f"choose another one with --device (see --list-devices), {_ELSE}"
            ) from error
        return stream

    def _captured(
        self, capture: Capture, channels: int, indata: Any, frames: int, time: Any, status: Any
    ) -> None:
        """In a thread of PortAudio's: the microphone has a block."""
        if status.input_overflow:
            self.counters.overflows += 1
        samples = np.frombuffer(indata, np.int16)
        if channels > 1:
            mean = samples.reshape(frames, channels).sum(axis=1, dtype=np.int32) // channels
            samples = mean.astype(np.int16)
        capture(samples)

    def _rendered(
        self, render: Render, channels: int, outdata: Any, frames: int, time: Any, status: Any
    ) -> None:
        """In a thread of PortAudio's: the loudspeaker wants a block."""
        if status.output_underflow:
            self.counters.underflows += 1
        block = np.frombuffer(outdata, np.int16)
        if channels == 1:
            render(block)
            return
        mono: Samples = np.empty(frames, np.int16)
        render(mono)
        block.reshape(frames, channels)[:] = mono[:, np.newaxis]

    def _finished(self, kind: Kind, name: str, failed: Failed) -> None:
        """In a thread of PortAudio's: a stream has ended."""
        if not self._stopping:
            failed(
                DeviceError(
                    f"the {_NOUNS[kind]} {name!r} is gone: plug it in again, or choose another one with "
                    "--device (see --list-devices)"
                )
            )


def _find(library: Any, name: str | None, kind: Kind) -> Any:
    noun = _NOUNS[kind]
    wanted: str | int | None = int(name) if name is not None and name.strip().isdecimal() else name
    try:
        device = library.query_devices(wanted, None if isinstance(wanted, int) else kind)
    except ValueError as error:
        # Its further lines are the devices that fit.
        several = str(error).splitlines()[1:]
        if several:
            raise ConfigError(
                f"--device {name!r} fits several: give the number of one\n  " + "\n  ".join(several)
            ) from error
        raise ConfigError(
            f"no {noun} is called {name!r}: see --list-devices; where microphone and loudspeaker are two "
            "devices, give --device twice, the microphone first"
        ) from error
    except library.PortAudioError as error:
        if name is not None:
            raise ConfigError(f"there is no device {name}: see --list-devices") from error
        raise DeviceError(f"this machine has no {noun}: plug one in, {_ELSE}{_permission()}") from error
    if not device[f"max_{kind}_channels"]:
        raise ConfigError(
            f"device {name} ({device['name']}) is no {noun}: give --device twice, the microphone first"
        )
    return device


def _channels(library: Any, kind: Kind, device: Any, rate: int) -> int:
    """Return the fewest channels the device takes: one wherever the system makes two of it."""
    check = library.check_input_settings if kind == "input" else library.check_output_settings
    most: int = device[f"max_{kind}_channels"]
    for channels in sorted({1, min(2, most)}):
        try:
            check(device=device["index"], channels=channels, dtype="int16", samplerate=rate)
        except library.PortAudioError:
            continue
        return channels
    return most


def _permission() -> str:
    return ". A terminal on macOS also needs the right to use them" if sys.platform == "darwin" else ""
