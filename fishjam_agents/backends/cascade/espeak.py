"""`tts: {type: espeak}`: espeak-ng, the program, as a voice. No key, no network, hardly any CPU."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import lru_cache

from fishjam_agents.backends.cascade.components import TextToSpeech
from fishjam_agents.errors import BackendError, ConfigError, SettingError

_PROGRAM = "espeak-ng"
_HEADER = 44
"""Bytes of the WAV header that espeak-ng writes before the samples."""
_PIECE = 4096
_END_DEADLINE = 2.0
_ANSWER = 2.0
"""Seconds espeak-ng has for saying whether it knows a voice; it takes 0.02."""


@dataclass(frozen=True, slots=True)
class Espeak(TextToSpeech):
    """Speaks with espeak-ng, at the 22050 Hz of its voices.

    Attributes:
        voice: A voice of `espeak-ng --voices`: `en-gb`, `de`, `pl+f3`.
        speed: Words per minute.
        pitch: 0 to 99.
        volume: How loud it is, as espeak-ng's amplitude: 1 to 200, of which 100 nearly reaches full scale. By
            default as loud as people are who speak to it (-22 dBFS while speaking).
    """

    voice: str = "en"
    speed: int = 165
    pitch: int = 50
    volume: int = 70

    @property
    def sample_rate(self) -> int:  # type: ignore[override]
        """Hz of every voice of espeak-ng."""
        return 22050

    def __post_init__(self) -> None:
        if not 80 <= self.speed <= 450:
            raise SettingError("speed", f"must be between 80 and 450 words per minute, not {self.speed}")
        if not 0 <= self.pitch <= 99:
            raise SettingError("pitch", f"must be between 0 and 99, not {self.pitch}")
        if not 1 <= self.volume <= 200:
            raise SettingError("volume", f"must be between 1 and 200, not {self.volume}")
        if not self.voice or self.voice.startswith("-"):
            raise SettingError("voice", f"must be a name of espeak-ng --voices, not {self.voice!r}")

    def check(self) -> None:
        """Verify that the program is there and knows the voice.

        Raises:
            ConfigError: It is not, or does not.
        """
        if shutil.which(_PROGRAM) is None:
            raise ConfigError(f"{_PROGRAM} is not installed: install it (apt install {_PROGRAM})")
        if not _knows(self.voice):
            raise ConfigError(f"{_PROGRAM} has no voice {self.voice!r}: use one of `{_PROGRAM} --voices`")

    def describe(self) -> str:
        """Return the voice, and where the program is, for `check`."""
        return f"voice {self.voice}, {self.speed} words a minute, by {shutil.which(_PROGRAM) or _PROGRAM}"

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        """Speak one sentence; it comes while espeak-ng is at it."""
        options = ["-v", self.voice, "-s", str(self.speed), "-p", str(self.pitch), "-a", str(self.volume)]
        try:
            process = await asyncio.create_subprocess_exec(
                _PROGRAM, *options, "--stdout", "--stdin", stdin=PIPE, stdout=PIPE, stderr=DEVNULL
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


@lru_cache
def _knows(voice: str) -> bool:
    """Return whether espeak-ng takes a voice. Its list lacks some that it takes: `en-uk`, `gmw/en`."""
    command = [_PROGRAM, "-v", voice, "-q", ""]
    try:
        asked = subprocess.run(command, stdin=DEVNULL, capture_output=True, timeout=_ANSWER, check=False)
    except (OSError, subprocess.TimeoutExpired):
        # It is no answer: whether it speaks shows in the call.
        return True
    return asked.returncode == 0


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
