"""`type: cascade`: speech to text, a language model and text to speech, composed to one backend."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends.cascade.component_vendor import ComponentVendor
from fishjam_agents.backends.cascade.components import (
    STT_RATE,
    Component,
    LanguageModel,
    LLMChunk,
    Message,
    SpeechToText,
    TextToSpeech,
)
from fishjam_agents.backends.cascade.fallback_component import FallbackComponent
from fishjam_agents.backends.cascade.sentences import Sentences
from fishjam_agents.backends.cascade.session import CascadeSession
from fishjam_agents.backends.cascade.speech_synthesis import OUTPUT_RATE, spoken
from fishjam_agents.backends.port import (
    Backend,
    BackendContext,
    BackendEvent,
    BackendSession,
    BackendWarning,
    Capabilities,
    ToolDeclaration,
    preload_any,
    reserve_first,
)
from fishjam_agents.backends.vendors import (
    PATIENCE,
    CallVendors,
    LimitReachedError,
    VendorEndpoint,
    VendorUse,
)
from fishjam_agents.errors import BackendError, SettingError
from fishjam_agents.units import Seconds, Tokens

logger = logging.getLogger(__name__)
P = TypeVar("P", bound=Component)

LEAST_HISTORY = 500
"""Tokens, a few minutes of talk."""


@dataclass(frozen=True, slots=True)
class Cascade(Backend):
    """A backend made of three parts. Several for one job: the later ones stand in for those that fail.

    Attributes:
        stt: Speech to text.
        llm: The language model.
        tts: The voice.
        history: Tokens of the conversation that the model is shown beside its instructions, about; the oldest
            exchanges are left out, also where the model turns out to have less room.
        filler: What is said when the model calls a tool before it has said a word.
        deadline: Seconds a part may take for its first piece, and between two. One that uses an account, and
            that nothing can stand in for, is asked again after a failure that may pass: no longer than this
            and 30 s (`vendors.PATIENCE`) in sum, after which the call ends with the apology, if there is one.
        fallback_after: Seconds it may take for its first piece where another of its list can stand in.
        preemptive: Whether an answer is begun when the speaker pauses, before it is certain that the turn is
            over. It comes up to 0.4 s earlier, and every pause inside a turn, three at most, costs a request
            to each part for nothing: that is why it is not so by default.
        transcript_wait: Seconds after a turn's end for its final transcript, where words are understood while
            they are spoken and some are there: then the model is asked with these, and shown the final ones
            when they come.
    """

    stt: Sequence[SpeechToText]
    llm: Sequence[LanguageModel]
    tts: Sequence[TextToSpeech]
    history: Tokens = 12_000
    filler: str | None = None
    deadline: Seconds = 10.0
    fallback_after: Seconds = 4.0
    preemptive: bool = False
    transcript_wait: Seconds = 2.0

    def __post_init__(self) -> None:
        for name, kind in (("stt", SpeechToText), ("llm", LanguageModel), ("tts", TextToSpeech)):
            _verify(name, getattr(self, name), kind)
        if self.history < LEAST_HISTORY:
            raise SettingError("history", "is counted in tokens", f"it must be at least {LEAST_HISTORY}")
        for name in ("deadline", "fallback_after", "transcript_wait"):
            if getattr(self, name) <= 0:
                raise SettingError(name, "must be above 0")

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]
        """Capabilities that follow from the parts."""
        return Capabilities(
            input_rate=STT_RATE,
            output_rate=OUTPUT_RATE,
            wants_turn_audio=not self.streams,
            wants_pauses=self.preemptive or self.streams,
            # Who hears turns while they are spoken has told their words by then.
            pause_transcripts=self.preemptive or self.streams,
            wants_suspected=self.streams,
            transcripts=self.streams,
            truncate=True,
            cancel=True,
            images=any(part.vision for part in self.llm),
            tools=True,
            text=True,
            verbatim_say=True,
            respond=True,
            enriches=True,
            speaks_alone=True,
            replies_wait=True,
            out_of_band=True,
            conversation=True,
        )

    @property
    def streams(self) -> bool:
        """True if words are understood while they are spoken."""
        return any(part.streams for part in self.stt)

    @property
    def components(self) -> Iterator[Component]:
        """All of them."""
        yield from (*self.stt, *self.llm, *self.tts)

    @property
    def in_process(self) -> bool:  # type: ignore[override]
        """True if every part runs in this process."""
        return all(part.in_process for part in self.components)

    @property
    def loads(self) -> Sequence[str]:  # type: ignore[override]
        """Names of the modules that connecting the parts imports."""
        return [name for part in self.components for name in part.loads]

    def preload(self) -> None:
        """Load the parts. One that cannot be loaded is only warned of where another of its list can.

        Raises:
            FishjamAgentsError: None of a list can be loaded.
        """
        for parts in (self.stt, self.llm, self.tts):
            preload_any(parts)

    @property
    def endpoint(self) -> VendorEndpoint | None:
        """None: each part has its own."""
        return None

    def reserve(self, call: CallVendors) -> None:
        """Take a place for each job, at the account of the first of its parts that has one."""
        for parts in (self.stt, self.llm, self.tts):
            reserve_first(parts, call)

    def check(self) -> None:
        """Check the parts."""
        for part in self.components:
            part.check()

    def check_tools(self, tools: Sequence[ToolDeclaration]) -> None:
        """Check what the language models are to do with the tools."""
        for part in self.llm:
            part.check_tools(tools)

    async def speak(self, text: str) -> AsyncIterator[Samples]:
        """Speak given words by a voice alone; see `Backend.speak`."""
        cut, use = Sentences(), VendorUse()
        opened: dict[int, TextToSpeech] = {}
        async with AsyncExitStack() as calls:
            calls.callback(use.close)
            vendors = [ComponentVendor(part, use, _pass_over) for part in self.tts]
            voices = FallbackComponent(
                "text to speech", self.tts, self.deadline, logger.info, self.fallback_after, vendors
            )
            calls.push_async_callback(voices.close)

            async def say(part: TextToSpeech, sentence: str) -> AsyncGenerator[Samples, None]:
                # A voice that only stands in is not opened before it has to.
                voice = opened.get(id(part))
                if voice is None:
                    voice = opened[id(part)] = await calls.enter_async_context(part.connect())
                async with aclosing(spoken(voice, sentence)) as pieces:
                    async for samples in pieces:
                        yield samples

            for sentence in (*cut.feed(text), *cut.flush()):
                request = voices.ask(partial(say, sentence=sentence), restart=True)
                async with aclosing(request) as pieces:
                    async for samples in pieces:
                        yield samples

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[BackendSession]:
        """Begin a conversation."""

        def warn(message: str) -> None:
            context.emit(BackendWarning(message))

        async with AsyncExitStack() as calls:
            stt = await _open(self.stt, lambda part: part.connect(), calls, warn)
            llm = await _open(self.llm, lambda part: part.connect(), calls, warn)
            tts = await _open(self.tts, lambda part: part.connect(), calls, warn)
            sighted = [_sighted(part, model) for part, model in llm]
            limits = (self.deadline, warn, self.fallback_after)
            jobs = (
                FallbackComponent("speech to text", [p for _, p in stt], *limits, _vendors(stt, context)),
                FallbackComponent("the language model", sighted, *limits, _vendors(llm, context)),
                FallbackComponent("text to speech", [p for _, p in tts], *limits, _vendors(tts, context)),
            )
            for job in jobs:
                calls.push_async_callback(job.close)
            patience = max(PATIENCE, self.deadline)
            session = CascadeSession(
                *(context, *jobs, self.history, self.filler, self.preemptive, patience),
                streams=self.streams,
                transcript_wait=self.transcript_wait,
            )
            calls.push_async_callback(session.close)
            yield session


def _pass_over(event: BackendEvent) -> None:
    """Take an event of a wait that no call has."""


async def _open(
    parts: Sequence[P],
    connect: Callable[[P], AbstractAsyncContextManager[P]],
    calls: AsyncExitStack,
    warn: Callable[[str], None],
) -> Sequence[tuple[P, P]]:
    """Open the parts for one job; one that cannot be opened is left out where another one can.

    Returns:
        Each part that is open, and what does its work.

    Raises:
        BackendError: None of them can be opened: why the first could not.
    """
    opened: list[tuple[P, P]] = []
    failures: list[BackendError] = []
    for part in parts:
        try:
            opened.append((part, await calls.enter_async_context(connect(part))))
        except BackendError as error:
            failures.append(error)
    if not opened:
        raise failures[0]
    for failure in failures:
        warn(f"{parts[0].what} goes on without one of its list: {failure}")
    return opened


def _vendors(
    opened: Sequence[tuple[Component, Component]], context: BackendContext
) -> Sequence[ComponentVendor]:
    """Return the ways to the accounts of the parts for one job; the call has a place at one of them.

    Raises:
        LimitReachedError: None has one.
    """
    vendors = [ComponentVendor(part, context.vendors, context.emit) for part, _ in opened]
    for vendor in vendors[:-1]:
        with suppress(LimitReachedError):
            vendor.hold()
            return vendors
    vendors[-1].hold()
    return vendors


def _sighted(settings: LanguageModel, connected: LanguageModel) -> LanguageModel:
    """Return what a model's `connect` gave; one that takes no images is shown none."""
    return connected if settings.vision else _Blind(connected)


class _Blind(LanguageModel):
    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def reply(self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]) -> AsyncIterator[LLMChunk]:
        return self._model.reply([message.without_images() for message in messages], tools)


def _verify(name: str, parts: object, kind: type[Component]) -> None:
    """Check the parts for one job.

    Raises:
        TypeError: One is none for it.
        SettingError: There is none.
    """
    if not isinstance(parts, Sequence) or isinstance(parts, str):
        raise TypeError(f"{name} must be a list of parts, not {_shown(parts)}: write {name}=[...]")
    if not parts:
        raise SettingError(name, action="a cascade needs at least one")
    for part in parts:
        if not isinstance(part, kind):
            advice = f"make it a subclass of {kind.__name__}"
            if isinstance(part, type):
                advice = f"make one of it, {part.__name__}(...)"
            elif isinstance(part, Component):
                advice = "give it to the job it is for"
            raise TypeError(f"{name}: {_shown(part)} is no {kind.what} ({kind.__name__}): {advice}")


def _shown(part: object) -> str:
    return f"the class {part.__name__}" if isinstance(part, type) else f"a {type(part).__name__}"
