"""Answers of the emulated model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from fishjam_agents.audio.resampling import resample

from .messages import INPUT_RATE, OUTPUT_RATE, Request

if TYPE_CHECKING:
    from .connection import Connection

Answer: TypeAlias = Callable[["Connection", "Request"], Awaitable[None]]
"""Answers one request. It is cancelled when the user interrupts it."""


def tone(seconds: float, pitch: float = 440.0) -> bytes:
    """A tone: 16-bit PCM at 24 kHz."""
    times = np.arange(round(seconds * OUTPUT_RATE)) / OUTPUT_RATE
    return (8000 * np.sin(2 * np.pi * pitch * times)).astype("<i2").tobytes()


async def speak(
    connection: Connection, audio: bytes, words: Sequence[str] = (), *, chunk: float = 0.04, pace: float = 8.0
) -> None:
    """Give a reply's audio and words, without its end.

    Args:
        connection: To whom.
        audio: 16-bit PCM at 24 kHz.
        words: Sent between the pieces of audio, evenly.
        chunk: Seconds of audio in one message.
        pace: How many times faster than real time; 0 waits for nothing.
    """
    size = round(chunk * OUTPUT_RATE) * 2
    pieces = [audio[at : at + size] for at in range(0, len(audio), size)]
    said = 0
    for number, piece in enumerate(pieces, 1):
        await connection.send_audio(piece)
        while said < len(words) * number / len(pieces):
            await connection.send_transcription("output", words[said])
            said += 1
        if pace:
            await asyncio.sleep(chunk / pace)


def say(text: str, seconds: float = 0.5, *, pace: float = 8.0) -> Answer:
    """An answer that is a tone and says it is `text`."""

    async def answer(connection: Connection, request: Request) -> None:
        words = [word + " " for word in text.split()]
        await speak(connection, tone(seconds), words, pace=pace)
        await connection.finish_turn()

    return answer


def pictures(count: int) -> str:
    """So many pictures, in words."""
    return "1 picture" if count == 1 else f"{count} pictures"


async def understand(connection: Connection, request: Request) -> float:
    """Write down what the user said, as far as it is understood: how long it was, in seconds."""
    seconds = len(request.audio) / (2 * INPUT_RATE)
    if request.audio:
        await connection.send_transcription("input", f" {seconds:.1f} seconds of speech")
    return seconds


async def parrot(connection: Connection, request: Request) -> None:
    """Say what the user said, with the user's own voice; a tone where there was only text."""
    seconds = await understand(connection, request)
    if request.audio:
        heard = np.frombuffer(request.audio, "<i2").astype(np.int16)
        audio = resample(heard, INPUT_RATE, OUTPUT_RATE).astype("<i2").tobytes()
        words = ["You ", "spoke ", "for ", f"{seconds:.1f} ", "seconds."]
    else:
        audio = tone(0.6)
        words = ["You ", "wrote: ", *(word + " " for word in request.text.split())]
    if request.images:
        words.append(f" I see {pictures(request.images)}.")
    await speak(connection, audio, words)
    await connection.finish_turn()
