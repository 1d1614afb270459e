"""`tts: {type: espeak}`: espeak-ng, the program, as a voice. No key, no network, hardly any CPU."""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fishjam_agents.backends.cascade.parts import TextToSpeech
from fishjam_agents.errors import BackendError, ConfigError

_PROGRAM = "espeak-ng"
_HEADER = 44
"""Bytes of the WAV header that espeak-ng writes before the samples."""
_PIECE = 4096
_END_DEADLINE = 2.0


@dataclass(frozen=True, slots=True)
class Espeak(TextToSpeech):
    """Speaks with espeak-ng, at the 22050 Hz of its voices.

    Attributes:
        voice: A voice of `espeak-ng --voices`: `en-gb`, `de`, `pl+f3`.
        speed: Words per minute.
        pitch: 0 to 99.
    """

    voice: str = "en"
    speed: int = 165
    pitch: int = 50

    @property
    def sample_rate(self) -> int:  # type: ignore[override]
        """Hz of every voice of espeak-ng."""
        return 22050

    def __post_init__(self) -> None:
        if not 80 <= self.speed <= 450:
            raise ValueError(f"speed must be between 80 and 450 words per minute, not {self.speed}")
        if not 0 <= self.pitch <= 99:
            raise ValueError(f"pitch must be between 0 and 99, not {self.pitch}")
        if not self.voice or self.voice.startswith("-"):
            raise ValueError(f"voice must be a name of espeak-ng --voices, not {self.voice!r}")

    def check(self) -> None:
        """Verify that the program is there.

        Raises:
            ConfigError: It is not.
        """
        if shutil.which(_PROGRAM) is None:
            raise ConfigError(f"{_PROGRAM} is not installed: install it (apt install {_PROGRAM})")

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        """Speak one sentence; it comes while espeak-ng is at it."""
        options = ["-v", self.voice, "-s", str(self.speed), "-p", str(self.pitch), "--stdout", "--stdin"]
        try:
            process = await asyncio.create_subprocess_exec(
                _PROGRAM, *options, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
            )
        except OSError as error:
            raise BackendError(f"{_PROGRAM} cannot be started ({error}): install it") from error
        assert process.stdin is not None
        assert process.stdout is not None
        said = False
        try:
            process.stdin.write(text.encode())
            process.stdin.close()
            header = await process.stdout.read(_PIECE)
            while header and len(header) < _HEADER:
                more = await process.stdout.read(_PIECE)
                header = header + more if more else b""
            if not header:
                said = True
                raise BackendError(f"{_PROGRAM} says nothing with voice {self.voice!r}: check the voice")
            yield header[_HEADER:]
            while piece := await process.stdout.read(_PIECE):
                yield piece
            said = True
        finally:
            await _end(process, said)


async def _end(process: Process, said: bool) -> None:
    """Everything was said, or nobody wants the rest."""
    # To kill a process that is just ending confuses asyncio, which logs that it knows no such process.
    if not said and process.returncode is None:
        process.kill()
    try:
        async with asyncio.timeout(_END_DEADLINE):
            await process.wait()
    except TimeoutError:
        if process.returncode is None:
            process.kill()
