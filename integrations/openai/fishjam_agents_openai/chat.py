"""`llm: {type: openai}`: chat completions, streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fishjam_agents.backends.cascade import LanguageModel, LLMChunk, LLMUsage, Message, Reasoning
from fishjam_agents.backends.port import ToolDeclaration
from fishjam_agents.errors import BackendError
from fishjam_agents.units import Tokens
from fishjam_agents_openai.access import Access, as_backend_errors, expect_no_page
from fishjam_agents_openai.amounts import amounts
from fishjam_agents_openai.calls import Calls
from fishjam_agents_openai.messages import Returned, wire_messages

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat.chat_completion_chunk import ChoiceDelta

_WHAT = "the language model's answer"
_THOUGHTS = ("reasoning_content", "reasoning")
"""Fields in which servers put reasoning: llama.cpp, DeepSeek and Kimi; some versions of vLLM."""
_RETURNED = "reasoning_content"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat(Access, LanguageModel):
    """A language model behind `/chat/completions`.

    Attributes:
        model: Its name.
        temperature: 0 to 2; None leaves it to the server, as with all that follows.
        max_tokens: Bound of an answer, in tokens.
        reasoning_effort: How much it may think: `none`, `low`, …
        vision: Whether it looks at pictures; it is then shown what the bot sees (`images`).
        extra: Further fields of the request, as the server has them; None leaves out one that is sent
            otherwise and that the server refuses, such as `stream_options`.
    """

    model: str
    temperature: float | None = None
    max_tokens: Tokens | None = None
    reasoning_effort: str | None = None
    vision: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[LanguageModel]:
        """Get ready for a call."""
        async with self.client() as client:
            yield _Connected(self, client)

    def reply(self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]) -> AsyncIterator[LLMChunk]:
        """Only what `connect` yields answers."""
        raise BackendError("enter connect() first: it yields the model that answers")


class _Connected(LanguageModel):
    def __init__(self, settings: Chat, client: AsyncOpenAI) -> None:
        self._settings = settings
        self._client = client
        self._calls: set[str] = set()
        self._returned = Returned()

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]
    ) -> AsyncIterator[LLMChunk]:
        what = self._settings.source(_WHAT)
        with as_backend_errors(what, self._settings.secrets):
            stream = await self._ask(messages, tools)
            calls = Calls()
            reasoning = ""
            spent: dict[str, float] = {}
            came = False
            try:
                expect_no_page(what, stream.response)
                async for chunk in stream:
                    came = True
                    # Some count on with every chunk: the last count is the whole one.
                    spent = amounts(chunk.usage.model_dump()) if chunk.usage is not None else spent
                    # Not every event is of an answer: Azure tells what its filters say of the question.
                    for choice in (chunk.choices or ())[:1]:
                        if (delta := choice.delta) is None:
                            continue
                        for name in _THOUGHTS:
                            if thought := getattr(delta, name, None):
                                reasoning += str(thought) if name == _RETURNED else ""
                                yield Reasoning(str(thought))
                        hidden = _is_thought(delta)
                        for piece in _content(delta.content or delta.refusal):
                            if piece:
                                yield Reasoning(piece) if hidden and isinstance(piece, str) else piece
                        calls.feed(delta.tool_calls)
            finally:
                await stream.close()
            if not came:
                raise BackendError(
                    f"{what} is no stream: check base_url, and whether the server streams", retryable=True
                )
            self._calls.update(call.call for message in messages for call in message.calls)
            requested = list(calls.requested(self._calls))
            self._returned.note(messages, requested, reasoning)
            for call, _ in requested:
                self._calls.add(call.call)
                yield call
            if spent:
                yield LLMUsage(spent)

    async def _ask(self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]) -> Any:
        """Send a request; once more where ids of calls that another server gave are what is wrong with it."""
        import openai

        self._settings.renew(self._client)
        create = self._client.chat.completions.create
        besides = self._settings.besides
        try:
            return await create(**self._request(messages, tools), **besides)
        except openai.APIStatusError as error:
            if self._returned.short_ids or "tool call id" not in error.message.lower():
                raise
        self._returned.short_ids = True
        return await create(**self._request(messages, tools), **besides)

    def _request(self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]) -> dict[str, Any]:
        settings = self._settings
        optional = {
            "temperature": settings.temperature,
            "max_completion_tokens": settings.max_tokens,
            "reasoning_effort": settings.reasoning_effort,
            "tools": [_tool(tool) for tool in tools] or None,
        }
        # The client walks through what it is given by its types, 0.1 ms and more for each message. What it is
        # given as `extra_body` it only sends.
        body = {
            "messages": wire_messages(messages, self._returned),
            "stream_options": {"include_usage": True},
            **{name: value for name, value in optional.items() if value is not None},
            **settings.extra,
        }
        body = {name: value for name, value in body.items() if value is not None}
        return {"model": settings.model, "messages": [], "stream": True, "extra_body": body}


def _tool(tool: ToolDeclaration) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _content(content: object) -> Iterator[str | Reasoning]:
    """Yield the content of a delta: text, or a list of parts, as Mistral's reasoning models have it."""
    for part in content if isinstance(content, list) else (content,):
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping):
            if part.get("type") == "thinking":
                thinking = part.get("thinking")
                yield Reasoning("".join(str(words) for words in _content(thinking) if isinstance(words, str)))
            elif isinstance(text := part.get("text"), str):
                yield text


def _is_thought(delta: ChoiceDelta) -> bool:
    """Return whether the content of a delta is reasoning: Gemini says so beside it."""
    extra = getattr(delta, "extra_content", None)
    google = extra.get("google") if isinstance(extra, Mapping) else None
    return isinstance(google, Mapping) and google.get("thought") is True
