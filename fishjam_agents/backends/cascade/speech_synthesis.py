"""Sentences made into sound in their order, the next one while the one before it is still being spoken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import numpy as np

from fishjam_agents.audio.resampling import playout_resampler
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.backends.cascade.closing import end
from fishjam_agents.backends.cascade.components import TextToSpeech
from fishjam_agents.backends.cascade.fallback_component import ComponentError, FallbackComponent
from fishjam_agents.backends.cascade.history import History
from fishjam_agents.backends.cascade.sentences import Sentences
from fishjam_agents.errors import BackendError

OUTPUT_RATE = 24000
"""Hz of what is said, whatever the voice gives."""
AHEAD = 10.0
"""Seconds of sound that a sentence may have before it is its turn; then its voice is read no further."""
LEAD = 30.0
"""Seconds of sound that a reply may be ahead of what can have been played of it. More would be paid for and
kept for nothing if somebody speaks over it, and without an end if the model or the voice finds none."""
_QUOTED = 40
_FILES = {b"RIFF": "WAV", b"OggS": "Ogg", b"fLaC": "FLAC", b"ID3\x03": "MP3", b"ID3\x04": "MP3"}
"""Beginnings of files of sound, heard as a crack, or as noise, where they are taken for samples."""


class Sentence:
    """One sentence on its way to sound; what there is of it is kept until `begin`.

    Args:
        text: Its words.
        tts: Voices.
        sounded: Called at its first sound, heard or not.
        pace: Waits until more sound is wanted.

    Attributes:
        sounds: Whether there is any sound of it.
    """

    __slots__ = ("_ahead", "_begun", "_hear", "_kept", "_pace", "_sounded", "_tts", "sounds", "task", "text")

    def __init__(
        self,
        text: str,
        tts: FallbackComponent[TextToSpeech],
        sounded: Callable[[], None],
        pace: Callable[[], Awaitable[None]],
    ) -> None:
        self.text = text
        self.sounds = False
        self._tts = tts
        self._sounded = sounded
        self._pace = pace
        self._hear: Callable[[Samples], None] | None = None
        self._begun = asyncio.Event()
        self._kept: list[Samples] = []
        self._ahead = 0
        self.task = asyncio.get_running_loop().create_task(self._make(), name="a sentence is spoken")

    def begin(self, hear: Callable[[Samples], None]) -> None:
        """It is its turn: `hear` gets its sound, what there is of it at once."""
        for samples in self._kept:
            hear(samples)
        self._kept.clear()
        self._hear = hear
        self._begun.set()

    async def _make(self) -> None:
        # One that breaks off is said anew by the voice that stands in: better twice than not at all.
        request = self._tts.ask(lambda voice: spoken(voice, self.text), restart=True)
        async with aclosing(request) as sound:
            async for samples in sound:
                if not len(samples):
                    continue
                self.sounds = True
                self._sounded()
                if self._hear is not None:
                    self._hear(samples)
                    await self._pace()
                    continue
                self._kept.append(samples)
                self._ahead += len(samples)
                if self._ahead >= AHEAD * OUTPUT_RATE:
                    await self._begun.wait()


class SpeechSynthesis:
    """Speech of one reply. The caller must call `close` when it is over, in any case.

    Args:
        reply: Its id.
        emit: Takes its events.
        tts: Voices.
        history: The conversation; it gets each sentence with its first sound.
        admitted: Done when it may be heard; None when it may at once.

    Attributes:
        said: Whether a sentence has had its turn.
        sounded: When the first sound was there, heard or not, loop time.
    """

    def __init__(
        self,
        reply: str,
        emit: Callable[[port.BackendEvent], None],
        tts: FallbackComponent[TextToSpeech],
        history: History,
        admitted: asyncio.Future[None] | None,
    ) -> None:
        self.said = False
        self.sounded: float | None = None
        self._reply = reply
        self._emit = emit
        self._tts = tts
        self._history = history
        self._admitted = admitted
        self._seconds = 0.0
        # When all that was given so far has been played, at the soonest; loop time.
        self._lasts = 0.0
        self._making: list[asyncio.Task[None]] = []
        # Whether there was nothing to be heard of the last sentence.
        self._silent = False
        self._loop = asyncio.get_running_loop()

    async def speak(self, sentences: asyncio.Queue[str | None]) -> None:
        """Speak sentences until None comes: each begins to be made while the one before it is spoken.

        One that breaks off, or of which there is no sound, costs no more than itself.

        Raises:
            BackendError: A voice failed, and all that could stand in for it: at the beginning, twice in a
                row, or so that only the user can mend it.
        """
        current: Sentence | None = None
        while (text := await sentences.get()) is not None:
            await self._pace()
            following = Sentence(text, self._tts, self._note_sound, self._pace)
            self._making.append(following.task)
            if current is not None:
                await self._made(current)
            await self.may_be_heard(following.task)
            self._begin(following)
            current = following
        if current is not None:
            await self._made(current)

    async def say(self, text: str) -> None:
        """Speak given words."""
        sentences: asyncio.Queue[str | None] = asyncio.Queue()
        cut = Sentences()
        for sentence in (*cut.feed(text), *cut.flush(), None):
            sentences.put_nowait(sentence)
        await self.speak(sentences)
        # Whoever waits for the end of what is said is not to wait for ever.
        self.announce()

    async def close(self, *others: asyncio.Task[Any]) -> None:
        """End what is being made, and what else nobody wants any more."""
        making, self._making = self._making, []
        await end(*making, *others)

    async def may_be_heard(self, making: asyncio.Task[None] | None = None) -> None:
        """Wait until it is certain that this reply is wanted; raises what ends `making` before that."""
        if self._admitted is None or self._admitted.done():
            return
        if making is not None:
            await asyncio.wait([making, self._admitted], return_when=asyncio.FIRST_COMPLETED)
            if making.done():
                making.result()
        await asyncio.wait([self._admitted])

    async def _made(self, sentence: Sentence) -> None:
        # Not awaited itself: whoever stops waiting leaves it to `close`, which does not wait for ever.
        await asyncio.wait([sentence.task])
        self._making.remove(sentence.task)
        try:
            sentence.task.result()
        except BackendError as error:
            if sentence.sounds:
                self._emit(port.ReplyTextDelta(self._reply, "", broke_off=True))
            again = self._silent and not sentence.sounds
            if not error.retryable or again or self.sounded is None:
                raise
            self._emit(port.BackendWarning(f"a sentence could not be spoken to its end: {error}"))
        self._silent = not sentence.sounds

    def _begin(self, sentence: Sentence) -> None:
        self.announce()
        told = False

        def hear(samples: Samples) -> None:
            nonlocal told
            if not told:
                # A sentence of which there is no sound has not been said.
                told = True
                self._emit(port.ReplyTextDelta(self._reply, sentence.text + " ", self._seconds))
                self._history.assistant(self._reply, sentence.text)
            self._hear(samples)

        sentence.begin(hear)

    def announce(self) -> None:
        """Tell that the reply begins, unless that was told."""
        if not self.said:
            self.said = True
            self._emit(port.ReplyStarted(self._reply))

    async def _pace(self) -> None:
        ahead = self._lasts - self._loop.time()
        if ahead > LEAD:
            await asyncio.sleep(ahead - LEAD)

    def _hear(self, samples: Samples) -> None:
        seconds = len(samples) / OUTPUT_RATE
        self._seconds += seconds
        self._lasts = max(self._lasts, self._loop.time()) + seconds
        self._emit(port.ReplyAudio(self._reply, samples))

    def _note_sound(self) -> None:
        if self.sounded is None:
            self.sounded = self._loop.time()


async def spoken(voice: TextToSpeech, text: str) -> AsyncGenerator[Samples, None]:
    """One sentence of a voice as int16 mono at `OUTPUT_RATE`, from pieces of any size, odd ones too.

    Raises:
        BackendError: There is no sound.
        ComponentError: The voice gives something else than bytes.
    """
    resampler = playout_resampler(voice.sample_rate, OUTPUT_RATE)
    odd = b""
    came = False
    pieces = voice.speak(text)
    try:
        async for piece in pieces:
            if not isinstance(piece, (bytes, bytearray)):
                raise ComponentError(
                    f"{type(voice).__name__} (text to speech) gives a {type(piece).__name__}: yield bytes, "
                    "16-bit little-endian mono, as samples.tobytes() of an int16 array gives them"
                )
            if not came and bytes(piece[:4]) in _FILES:
                kind = _FILES[bytes(piece[:4])]
                raise ComponentError(
                    f"{type(voice).__name__} (text to speech) gives a {kind} file: yield its samples alone, "
                    "16-bit little-endian mono, without a header"
                )
            data = odd + piece if odd else piece
            whole = len(data) & ~1
            odd = data[whole:]
            came = came or whole > 0
            # A voice that gives all it has at once is heard in pieces, too: what is too much is not lost.
            for at in range(0, whole, 2 * voice.sample_rate):
                block = data[at : min(at + 2 * voice.sample_rate, whole)]
                samples: Samples = np.frombuffer(block, "<i2").astype(np.int16, copy=False)
                yield samples if resampler is None else resampler.process(samples)
        if not came:
            raise BackendError(f"the voice gave no sound for {_quoted(text)}: try again", retryable=True)
        if resampler is not None:
            yield resampler.flush()
    finally:
        await _close(pieces)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _QUOTED else text[:_QUOTED] + "...")


async def _close(pieces: AsyncIterator[bytes]) -> None:
    close = getattr(pieces, "aclose", None)
    if close is not None:
        await close()
