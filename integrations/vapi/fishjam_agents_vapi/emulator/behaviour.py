"""Behaviour of the emulated Vapi, and its faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fishjam_agents.audio.samples import Samples


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The assistant calls a tool instead of answering a turn.

    Attributes:
        name: The tool.
        arguments: What it is given.
        arguments_as: In which of the two documented shapes.
        id: Of the call; empty makes one.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    arguments_as: Literal["text", "object"] = "object"
    id: str = ""


@dataclass(slots=True)
class Behaviour:
    """May be changed at any time; what concerns a call holds for the calls created afterwards.

    Attributes:
        key: The only key that is taken; None takes any.
        bearer_on_socket: Whether the media socket wants the key, too.
        statuses: Statuses of the next answers to `POST /call`; those below 400 create a call.
        answer_after: Seconds before a REST request is answered.
        lagging: Whether REST shows calls that have ended as if they went on.
        silent: Answer no REST request, for as long as this is set.
        media_url: Whether an answer tells where the media socket is.
        burst: Give a reply at once; else in real time.
        answer: Makes the sound of an answer from that of a turn; none is given where it makes none.
        at_least: Seconds an answer has; the words are repeated until then.
        quiet: Seconds of quiet that end a turn.
        idle_audio: Send silence between replies.
        speech_updates: Whether `speech-update` is among the client messages.
        model_output: Whether `model-output` is.
        status_updates: Whether `status-update` is, also where the assistant does not ask for it.
        finals_only: Whether transcripts are told only when they are final, under the name of those.
        silence_timeout: Seconds without a frame after which the call ends.
        tools: What the assistant calls in its first turns.
        abort_after: Seconds after which the socket is cut, without a close frame.
        end_after: Seconds after which the call ends, and why.
        close_with: Close code of a call that ends; 1005 is a close without a status.
        garbage: Send frames that are no messages, unknown ones, and audio of odd length.
    """

    key: str | None = None
    bearer_on_socket: bool = False
    statuses: list[int] = field(default_factory=list)
    answer_after: float = 0.0
    lagging: bool = False
    silent: bool = False
    media_url: bool = True
    burst: bool = False
    answer: Callable[[Samples], Samples] | None = None
    at_least: float = 0.0
    quiet: float = 0.5
    idle_audio: bool = False
    speech_updates: bool = True
    model_output: bool = True
    status_updates: bool = False
    finals_only: bool = False
    silence_timeout: float = 10.0
    tools: tuple[ToolUse, ...] = ()
    abort_after: float | None = None
    end_after: tuple[float, str] | None = None
    close_with: int = 1005
    garbage: bool = False
