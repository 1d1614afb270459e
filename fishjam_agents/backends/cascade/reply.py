"""One reply: words from the language model, spoken sentence by sentence while the rest is still to come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade.components import (
    LanguageModel,
    LLMToolCall,
    LLMUsage,
    Message,
    Reasoning,
    TextToSpeech,
)
from fishjam_agents.backends.cascade.context import answer
from fishjam_agents.backends.cascade.fallback_component import FallbackComponent
from fishjam_agents.backends.cascade.history import History
from fishjam_agents.backends.cascade.sentences import Sentences
from fishjam_agents.backends.cascade.speech_synthesis import SpeechSynthesis
from fishjam_agents.backends.cascade.tool_calls import ToolCalls, ToolRound

ROUNDS = 8
"""Number of rounds of tool calls in a row before an answer must come."""
ASKED = "Not said by the user, who does not see this. Say now"
"""Begins what the app asks for: as the user's words, since templates of models take no other at the end."""
UNSPOKEN = 64
"""Sentences that a model may be ahead of its voice: a long answer; then it is read no further for a while."""


@dataclass(frozen=True, slots=True)
class ReplyDependencies:
    """Dependencies of replies.

    Attributes:
        emit: Takes their events.
        llm: Language models.
        tts: Voices.
        history: The conversation; it gets what is said.
        calls: Has tools called.
        tools: The tools on offer, asked for each request.
        filler: What is said while tools are called before a word was.
    """

    emit: Callable[[port.BackendEvent], None]
    llm: FallbackComponent[LanguageModel]
    tts: FallbackComponent[TextToSpeech]
    history: History
    calls: ToolCalls
    tools: Callable[[], Sequence[port.ToolDeclaration]]
    filler: str | None


class Reply:
    """Generates one reply; cancelling `run` closes whatever is streaming for it.

    Args:
        id: Its id.
        means: What it is made with.
        admitted: Done when it may be heard and call tools; None when it may at once.
        peer: Whose turn it answers.

    Attributes:
        asked_at: When the language model was asked last, loop time; None before.
        begun_at: When the model's first word was there, or a filler in its place, loop time.
        worded: When its first sentence was.
    """

    def __init__(
        self,
        id: str,
        means: ReplyDependencies,
        admitted: asyncio.Future[None] | None = None,
        peer: str | None = None,
    ) -> None:
        self.id = id
        self.asked_at: float | None = None
        self.begun_at: float | None = None
        self.worded: float | None = None
        self._means = means
        self._peer = peer
        self._tools: ToolRound | None = None
        self._filler: asyncio.Task[None] | None = None
        self._silenced = False
        self._speaking = SpeechSynthesis(id, means.emit, means.tts, means.history, admitted)
        self._loop = asyncio.get_running_loop()

    @property
    def begun(self) -> bool:
        """True once a word of it has been spoken."""
        return self._speaking.said

    @property
    def sounded(self) -> float | None:
        """Time of its first sound, heard or not, loop time."""
        return self._speaking.sounded

    @property
    def calling(self) -> bool:
        """True if tools run for it: it is silenced then, and not cancelled."""
        return self._tools is not None

    def silence(self) -> None:
        """Say no more. The tools that run are waited for, and what they answer is remembered."""
        self._silenced = True
        if self._filler is not None:
            self._filler.cancel()
        if self._tools is not None:
            self._tools.take_back()

    async def run(self, messages: Sequence[Message] | None = None, instructions: str | None = None) -> None:
        """Answer the conversation as it stands, or as it is given.

        Args:
            messages: The conversation, where it is not the history.
            instructions: What is to be said next, which the history keeps only if a tool is called for it.

        Raises:
            BackendError: A part failed, and all that could stand in for it.
        """
        history = self._means.history
        if instructions is not None:
            messages = history.followed_by(instructions)
        for _ in range(ROUNDS):
            calls = await self._round(history.messages if messages is None else messages)
            messages = None
            if not calls:
                await self._tell_of_silence()
                return
            if instructions is not None:
                history.user(instructions)
                instructions = None
            await self._speaking.may_be_heard()
            await self._call(calls)
            if self._silenced:
                return
        message = f"the model called tools {ROUNDS} times in a row without an answer: the reply ends there"
        self._means.emit(port.BackendWarning(message))

    async def _tell_of_silence(self) -> None:
        """Nobody hears an answer that is nothing but reasoning, code or emoji: it is told to who looks on."""
        if not self.begun:
            await self._speaking.may_be_heard()
            message = (
                "the model gave no words that can be spoken, and nothing is said: see its instructions, and "
                "whether it spends max_tokens on reasoning"
            )
            self._means.emit(port.BackendWarning(message))

    async def say(self, text: str) -> None:
        """Speak given words.

        Raises:
            BackendError: A voice failed, and all that could stand in for it.
        """
        try:
            await self._speaking.say(text)
        finally:
            await self._speaking.close()

    async def respond(self, instructions: str) -> None:
        """Say what the app asks for, in the model's words.

        Raises:
            BackendError: A part failed, and all that could stand in for it.
        """
        try:
            await self.run(instructions=f"[{ASKED}: {instructions}]")
        finally:
            # Whoever waits for the end of what is said is not to wait for ever.
            self._speaking.announce()

    async def _call(self, calls: Sequence[LLMToolCall]) -> None:
        """Have tools called; they run while the filler is spoken."""
        words = self._means.filler
        self._tools = tools = self._means.calls.make(calls, self._peer)
        if words is not None and not self.begun:
            # What is heard first is not the model's: it is complete as it stands.
            self.worded = self._loop.time()
            self.begun_at = self.begun_at or self.worded
            self._filler = self._loop.create_task(self._speaking.say(words), name=f"filler of {self.id}")
        filler = self._filler
        try:
            await tools.over()
            if filler is not None:
                await asyncio.wait([filler])
        finally:
            self._tools = self._filler = None
            await self._speaking.close(*([] if filler is None else [filler]))
        # Whatever becomes of the filler: this has been done.
        tools.record()
        if filler is not None and not filler.cancelled():
            filler.result()

    async def _round(self, messages: Sequence[Message]) -> list[LLMToolCall]:
        """Speak what the model says to the conversation; returns the tools it wants called."""
        self.asked_at = self._loop.time()
        sentences: asyncio.Queue[str | None] = asyncio.Queue(UNSPOKEN)
        calls: list[LLMToolCall] = []
        reader = self._loop.create_task(self._read(messages, sentences, calls), name=f"words of {self.id}")
        try:
            await self._speaking.speak(sentences)
            await reader
        finally:
            await self._speaking.close(reader)
        return calls

    async def _read(
        self, messages: Sequence[Message], sentences: asyncio.Queue[str | None], calls: list[LLMToolCall]
    ) -> None:
        cut = Sentences()
        try:
            means = self._means
            request = answer(means.llm, messages, means.tools(), means.history.full)
            async with aclosing(request) as pieces:
                async for piece in pieces:
                    if isinstance(piece, str):
                        if self.begun_at is None and piece.strip():
                            self.begun_at = self._loop.time()
                        await self._found(cut.feed(piece), sentences)
                    elif isinstance(piece, LLMToolCall):
                        calls.append(piece)
                    elif isinstance(piece, LLMUsage):
                        self._means.emit(port.BackendUsage(piece.amounts))
                    else:
                        assert isinstance(piece, Reasoning)
            await self._found(cut.flush(), sentences)
        finally:
            task = asyncio.current_task()
            # Whoever cancels this listens no more: nobody makes room.
            if task is None or not task.cancelling():
                await sentences.put(None)

    async def _found(self, words: Sequence[str], sentences: asyncio.Queue[str | None]) -> None:
        if words and self.worded is None:
            self.worded = self._loop.time()
        for sentence in words:
            await sentences.put(sentence)
