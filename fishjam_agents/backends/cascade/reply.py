"""One reply: words from the language model, spoken sentence by sentence while the rest is still to come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing

import numpy as np

from fishjam_agents.audio.resampling import StreamResampler, playout_resampler
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import port
from fishjam_agents.backends.cascade.fallbacks import Fallbacks
from fishjam_agents.backends.cascade.history import History
from fishjam_agents.backends.cascade.parts import (
    LanguageModel,
    Message,
    Requested,
    Spent,
    TextToSpeech,
    Thought,
)
from fishjam_agents.backends.cascade.sentences import Sentences

OUTPUT_RATE = 24000
"""Hz of what is said, whatever the voice gives."""
ROUNDS = 8
"""How often in a row tools may be called before an answer must come."""


class Reply:
    """Generates one reply; cancelling `run` closes whatever is streaming for it.

    Args:
        id: Its id.
        emit: Takes its events.
        llm: Language models.
        tts: Voices.
        history: The conversation; it gets what is said.
        call_tools: Has tools called, returns their answers in the same order.
        tools: The tools on offer, asked for each request.
        filler: What is said when tools are called before a word was.

    Attributes:
        times: When things first happened, loop time: `words`, `sound`.
    """

    def __init__(
        self,
        id: str,
        emit: Callable[[port.BackendEvent], None],
        llm: Fallbacks[LanguageModel],
        tts: Fallbacks[TextToSpeech],
        history: History,
        call_tools: Callable[[Sequence[Requested]], Awaitable[list[str]]],
        tools: Callable[[], Sequence[port.ToolDeclaration]],
        filler: str | None,
    ) -> None:
        self.id = id
        self.times: dict[str, float] = {}
        self._emit = emit
        self._llm = llm
        self._tts = tts
        self._history = history
        self._call_tools = call_tools
        self._tools = tools
        self._filler = filler
        self._said = False
        self._seconds = 0.0
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Answer the conversation as it stands.

        Raises:
            BackendError: A part failed, and all that could stand in for it.
        """
        for _ in range(ROUNDS):
            calls = await self._round()
            if not calls:
                return
            if self._filler is not None and not self._said:
                await self.say(self._filler)
            self._history.called(calls, await self._call_tools(calls))

    async def say(self, sentence: str) -> None:
        """Speak one sentence."""
        if not self._said:
            self._emit(port.ReplyStarted(self.id))
        self._said = True
        self._emit(port.ReplyText(self.id, sentence + " ", self._seconds))
        self._history.assistant(self.id, sentence)
        sound = _Sound()

        def speak(voice: TextToSpeech) -> AsyncIterator[bytes]:
            sound.begin(voice.sample_rate)
            return voice.speak(sentence)

        async with aclosing(self._tts.ask(speak)) as pieces:
            async for piece in pieces:
                self._play(sound.take(piece))
        self._play(sound.rest())

    def _play(self, samples: Samples) -> None:
        if len(samples):
            self.times.setdefault("sound", self._loop.time())
            self._seconds += len(samples) / OUTPUT_RATE
            self._emit(port.ReplyAudio(self.id, samples))

    @property
    def begun(self) -> bool:
        """Whether a word of it has been spoken."""
        return self._said

    async def _round(self) -> list[Requested]:
        """Speak what the model says to the conversation; returns the tools it wants called."""
        sentences: asyncio.Queue[str | None] = asyncio.Queue()
        calls: list[Requested] = []
        reader = asyncio.create_task(self._read(self._history.messages, sentences, calls))
        try:
            while (sentence := await sentences.get()) is not None:
                await self.say(sentence)
            await reader
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
        return calls

    async def _read(
        self, messages: Sequence[Message], sentences: asyncio.Queue[str | None], calls: list[Requested]
    ) -> None:
        cut = Sentences()
        try:
            async with aclosing(self._llm.ask(lambda model: model.reply(messages, self._tools()))) as pieces:
                async for piece in pieces:
                    if isinstance(piece, str):
                        found = cut.feed(piece)
                        if found:
                            self.times.setdefault("words", self._loop.time())
                        for sentence in found:
                            sentences.put_nowait(sentence)
                    elif isinstance(piece, Requested):
                        calls.append(piece)
                    elif isinstance(piece, Spent):
                        self._emit(port.Usage(piece.amounts))
                    else:
                        assert isinstance(piece, Thought)
            for sentence in cut.flush():
                self.times.setdefault("words", self._loop.time())
                sentences.put_nowait(sentence)
        finally:
            sentences.put_nowait(None)


class _Sound:
    """PCM in pieces of any size, made into samples at `OUTPUT_RATE`."""

    def __init__(self) -> None:
        self._odd = b""
        self._resampler: StreamResampler | None = None

    def begin(self, sample_rate: int) -> None:
        """A voice starts to speak."""
        self._odd = b""
        self._resampler = playout_resampler(sample_rate, OUTPUT_RATE)

    def take(self, piece: bytes) -> Samples:
        """What is complete with the next piece."""
        data = self._odd + piece
        whole = len(data) & ~1
        self._odd = data[whole:]
        samples: Samples = np.frombuffer(data[:whole], "<i2").astype(np.int16, copy=False)
        return samples if self._resampler is None else self._resampler.process(samples)

    def rest(self) -> Samples:
        """What the resampler held back."""
        return np.empty(0, np.int16) if self._resampler is None else self._resampler.flush()
