"""`llm: {type: openai}`: chat completions, streamed."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fishjam_agents.backends.cascade import LanguageModel, Message, Piece, Requested, Spent, Thought
from fishjam_agents.backends.port import ToolDeclaration
from fishjam_agents.errors import BackendError
from fishjam_agents_openai.access import Access, as_backend_errors, expect_no_page
from fishjam_agents_openai.amounts import amounts

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall

_WHAT = "the language model's answer"
_THOUGHTS = ("reasoning_content", "reasoning")
"""Where servers put what a model reasons: llama.cpp, and some versions of vLLM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat(Access, LanguageModel):
    """A language model behind `/chat/completions`.

    Attributes:
        model: Its name.
        temperature: 0 to 2; None leaves it to the server, as with all that follows.
        max_tokens: Bound of an answer, in tokens.
        reasoning_effort: How much it may think: `none`, `low`, …
        vision: Whether it looks at pictures; it is then shown what the bot sees (`images`).
        extra: Further fields of the request, as the server has them.
    """

    model: str
    temperature: float | None = None
    max_tokens: int | None = None
    reasoning_effort: str | None = None
    vision: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """As `Access.check`."""
        Access.check(self)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[LanguageModel]:
        """Get ready for a call."""
        async with self.client() as client:
            yield _Connected(self, client)

    def reply(self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]) -> AsyncIterator[Piece]:
        """Only what `connect` yields answers."""
        raise BackendError("enter connect() first: it yields the model that answers")


class _Connected(LanguageModel):
    def __init__(self, settings: Chat, client: AsyncOpenAI) -> None:
        self._settings = settings
        self._client = client
        self._calls: set[str] = set()

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]
    ) -> AsyncIterator[Piece]:
        what = self._settings.source(_WHAT)
        with as_backend_errors(what, self._settings.secrets):
            stream = await self._client.chat.completions.create(
                **self._request(messages, tools), **self._settings.besides
            )
            calls = _Calls()
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
                                yield Thought(str(thought))
                        if words := delta.content or delta.refusal:
                            yield words
                        calls.feed(delta.tool_calls or ())
            finally:
                await stream.close()
            if not came:
                raise BackendError(
                    f"{what} is no stream: check base_url, and whether the server streams", retryable=True
                )
            for call in calls.complete:
                yield call.requested(self._calls)
            if spent:
                yield Spent(spent)

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
            "messages": [_message(message) for message in messages],
            "stream_options": {"include_usage": True},
            **{name: value for name, value in optional.items() if value is not None},
            **settings.extra,
        }
        return {"model": settings.model, "messages": [], "stream": True, "extra_body": body}


class _Calls:
    """Calls of tools, put together from their pieces."""

    def __init__(self) -> None:
        self.complete: list[_Call] = []
        self._open: dict[int, _Call] = {}

    def feed(self, pieces: Sequence[ChoiceDeltaToolCall]) -> None:
        """Take the pieces of one chunk."""
        for piece in pieces:
            call = self._open.get(piece.index)
            # Ollama has given every call of an answer the index 0: another id is another call.
            if call is None or (piece.id and call.id and piece.id != call.id):
                call = self._open[piece.index] = _Call()
                self.complete.append(call)
            call.id = call.id or piece.id or ""
            if piece.function is not None:
                call.name = call.name or piece.function.name or ""
                call.arguments += piece.function.arguments or ""


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""

    def requested(self, taken: set[str]) -> Requested:
        """The call, under an id that no other has: some servers give none, or the same in every answer."""
        try:
            arguments = json.loads(self.arguments or "{}")
        except ValueError as error:
            raise BackendError(
                f"the model called {self.name} with arguments that are no JSON: ask again", retryable=True
            ) from error
        if not isinstance(arguments, dict):
            raise BackendError(f"the model called {self.name} with no object: ask again", retryable=True)
        name = self.id if self.id and self.id not in taken else f"{self.id or 'call'}-{len(taken)}"
        taken.add(name)
        return Requested(name, self.name, arguments)


def _tool(tool: ToolDeclaration) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call, "content": message.text}
    if message.calls:
        calls = [
            {
                "id": call.call,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
            }
            for call in message.calls
        ]
        return {"role": "assistant", "content": message.text or None, "tool_calls": calls}
    if message.images:
        pictures = [
            {
                "type": "image_url",
                "image_url": {"url": f"data:{kind};base64,{base64.b64encode(data).decode()}"},
            }
            for data, kind in message.images
        ]
        return {"role": message.role, "content": [{"type": "text", "text": message.text}, *pictures]}
    return {"role": message.role, "content": message.text}
