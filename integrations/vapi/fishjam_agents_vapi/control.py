"""Messages to a running call, for `AgentPipeline.control` and for Vapi's `controlUrl`: the same bodies.

There is no message that answers a tool call: Vapi takes results only as the answer of a webhook
(docs.vapi.ai/calls/websocket-transport).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

Message: TypeAlias = Mapping[str, Any]


def say(
    content: str,
    *,
    end_call_after_spoken: bool = False,
    interrupt_assistant: bool = False,
    interruptible: bool = True,
) -> Message:
    """Have the assistant speak given words.

    Args:
        content: The words.
        end_call_after_spoken: End the call then.
        interrupt_assistant: Cut off what it is saying; else the words come after it.
        interruptible: Whether the user may interrupt them.
    """
    return {
        "type": "say",
        "content": content,
        "endCallAfterSpoken": end_call_after_spoken,
        "interruptAssistantEnabled": interrupt_assistant,
        "interruptionsEnabled": interruptible,
    }


def add_message(
    content: str, *, role: Literal["user", "system", "assistant"] = "user", respond: bool = True
) -> Message:
    """Add a message to the conversation; with `respond` the assistant answers it."""
    message = {"role": role, "content": content}
    return {"type": "add-message", "message": message, "triggerResponseEnabled": respond}


def mute_assistant() -> Message:
    """Let nobody hear the assistant."""
    return {"type": "control", "control": "mute-assistant"}


def unmute_assistant() -> Message:
    """Undo `mute_assistant`."""
    return {"type": "control", "control": "unmute-assistant"}


def mute_customer() -> Message:
    """Let the assistant hear nobody."""
    return {"type": "control", "control": "mute-customer"}


def unmute_customer() -> Message:
    """Undo `mute_customer`."""
    return {"type": "control", "control": "unmute-customer"}


def say_first_message() -> Message:
    """Have the assistant speak its first message now."""
    return {"type": "control", "control": "say-first-message"}


def end_call() -> Message:
    """End the call. `hangup`, which one page of Vapi's documentation shows, is in no schema."""
    return {"type": "end-call"}
