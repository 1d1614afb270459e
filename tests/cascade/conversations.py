"""What a cascade's far side has seen, told in the conformance kit's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fishjam_agents.backends.cascade import Message
from fishjam_agents.backends.cascade.history import CUT
from fishjam_agents.testing.conformance import Received


@dataclass(eq=False)
class ConversationSeen:
    """The conversation as the language model was shown it.

    Each request shows all of it again: what counts is what is new.

    Attributes:
        received: What has come, in order.
    """

    received: list[Received] = field(default_factory=list)
    _turns: dict[str, float] = field(default_factory=dict)
    _latest: dict[str, Any] = field(default_factory=dict)
    _known: Counter[Received] = field(default_factory=Counter)

    def turn(self, seconds: float) -> str:
        """Somebody's turn is to be understood: what was said in it. The model is shown that later."""
        words = f"What turn {len(self._turns) + 1} says."
        self._turns[words] = seconds
        return words

    def messages(self, messages: Sequence[Message], tools: Sequence[str] = ()) -> None:
        """The model was shown a conversation, and told of tools."""
        prompt = next((message.text for message in messages if message.role == "system"), None)
        for received in (Received("instructions", prompt), Received("tools", tuple(tools))):
            if self._latest.get(received.kind) != received.value:
                self._latest[received.kind] = received.value
                self.received.append(received)
        shown = Counter(found for message in messages for found in self._told(message))
        self.received += (shown - self._known).elements()
        self._known |= shown

    def _told(self, message: Message) -> Iterable[Received]:
        for picture, _ in message.images:
            yield Received("image", picture)
        if message.role == "tool":
            yield Received("tool_result", message.text, message.call)
        elif message.role == "assistant" and message.text.endswith(CUT):
            yield Received("interrupt", message.text.removesuffix(CUT))
        elif message.role == "user" and message.text in self._turns:
            yield Received("turn_ended", self._turns[message.text])
        elif message.role == "user":
            yield Received("text", message.text)
