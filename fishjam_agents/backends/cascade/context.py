"""The length of conversations in tokens, and what goes when there are too many: the oldest exchanges."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from fishjam_agents.backends.cascade.components import ContextFullError, LanguageModel, LLMChunk, Message
from fishjam_agents.backends.cascade.fallback_component import FallbackComponent
from fishjam_agents.backends.port import ToolDeclaration

_BYTES = 4
"""Bytes of UTF-8 that are about a token: four letters of English, two of Russian, one or two of Chinese."""
_MESSAGE = 4
"""Tokens that a message has besides its words, by the templates of models."""
_IMAGE = 800
"""Tokens of a picture: vendors count 85 to 1,100 for a still of a camera."""
_LONG = 400
"""Tokens of a tool's answer that is shortened where no exchange is left to be dropped."""


def tokens(messages: Sequence[Message]) -> int:
    """About how many tokens messages are; no two models count alike."""
    return sum(_tokens(message) for message in messages)


def _tokens(message: Message) -> int:
    length = len(message.text.encode())
    for call in message.calls:
        length += len(call.name) + len(json.dumps(dict(call.arguments), default=str))
    return _MESSAGE + length // _BYTES + _IMAGE * len(message.images)


def without_oldest(messages: Sequence[Message], most: int) -> list[Message]:
    """Messages without the oldest exchanges, so that the rest is no longer than `most` tokens.

    An exchange is what a user says and all that follows from it. The system's message stays, and the last
    exchange, however long it is: it is being answered.
    """
    system = [message for message in messages[:1] if message.role == "system"]
    rest = messages[len(system) :]
    left = tokens(rest)
    start = 0
    for index, message in enumerate(rest):
        if index and message.role == "user":
            start = index
        if left <= most and start == index:
            break
        left -= _tokens(message)
    return [*system, *rest[start:]]


def shortened(messages: Sequence[Message]) -> list[Message] | None:
    """A conversation that a model has no room for, half as long; None when there is nothing to leave out."""
    system = [message for message in messages[:1] if message.role == "system"]
    rest = messages[len(system) :]
    fewer = without_oldest(messages, tokens(rest) // 2)
    if len(fewer) < len(messages):
        return fewer
    # One exchange alone is too long: what a tool has answered.
    longest = max(messages, key=_answer)
    if _answer(longest) <= _LONG:
        return None
    half = f"{longest.text[: len(longest.text) // 2]}\n[cut here: there is no room for more]"
    return [replace(message, text=half) if message is longest else message for message in messages]


def _answer(message: Message) -> int:
    return _tokens(message) if message.role == "tool" else 0


async def answer(
    llm: FallbackComponent[LanguageModel],
    messages: Sequence[Message],
    tools: Sequence[ToolDeclaration],
    full: Callable[[int], None],
) -> AsyncGenerator[LLMChunk, None]:
    """Have a conversation answered; where a model has no room for it, without its oldest exchanges.

    Args:
        llm: Language models.
        messages: The conversation.
        tools: The tools on offer.
        full: Told how many tokens may be asked with from now on.

    Raises:
        BackendError: A model failed, and all that could stand in for it; or what is left is too long, too.
    """
    while True:
        begun = False
        try:
            async with aclosing(llm.ask(lambda model, asked=messages: model.reply(asked, tools))) as pieces:  # type: ignore[misc]
                async for piece in pieces:
                    begun = True
                    yield piece
                return
        except ContextFullError:
            fewer = None if begun else shortened(messages)
            if fewer is None:
                raise
            full(tokens(fewer))
            messages = fewer
