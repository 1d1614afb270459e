"""Entries of the port in the words of Google's client."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, assert_never

from fishjam_agents.backends.port import (
    AudioEndedInput,
    AudioInput,
    BackendEvent,
    BackendInput,
    BackendWarning,
    ControlInput,
    ImageInput,
    InterruptInput,
    OutOfBandInput,
    SpeechSuspectedInput,
    TextInput,
    ToolResultInput,
    TurnCancelledInput,
    TurnEndedInput,
    TurnPausedInput,
    TurnResumedInput,
    TurnStartedInput,
    UpdateInput,
)

from .session_continuity import SessionContinuity
from .settings import GeminiSettings

if TYPE_CHECKING:
    from google.genai.live import AsyncSession


logger = logging.getLogger(__name__)

AUDIO = "audio/pcm;rate=16000"
"""MIME type of audio to the Live API."""
_EXACT = 2.0**53
"""Below this a double holds every whole number."""
_DEEPEST = 24
"""Levels of a result that is sent as JSON: a protobuf reader gives up at 100 messages within one another (its
default recursion limit), and a `Struct` takes three for each level."""


class Wire:
    """The sending half of a connection.

    Args:
        live: Google's session.
        settings: The backend.
        memory: Of the call.
        emit: Takes warnings.
    """

    def __init__(
        self,
        live: AsyncSession,
        settings: GeminiSettings,
        memory: SessionContinuity,
        emit: Callable[[BackendEvent], None],
    ) -> None:
        from google.genai import types

        self._live = live
        self._settings = settings
        self._memory = memory
        self._emit = emit
        self._types = types
        self._active = False
        self._deaf_to_notes = False

    async def pass_on(self, item: BackendInput, *, again: bool = False) -> bool:
        """Send an entry.

        Args:
            item: The entry.
            again: An earlier connection was sent it, too.

        Returns:
            Whether it was sent, and not dropped.
        """
        live, types = self._live, self._types
        match item:
            case AudioInput():
                blob = types.Blob(data=item.samples.astype("<i2", copy=False).tobytes(), mime_type=AUDIO)
                await live.send_realtime_input(audio=blob)
            case TurnStartedInput():
                # A turn that was taken back left its activity open: the API has no way to forget it.
                if not self._active:
                    self._active = True
                    await live.send_realtime_input(activity_start=types.ActivityStart())
            case TurnEndedInput():
                self._active = False
                await live.send_realtime_input(activity_end=types.ActivityEnd())
            case AudioEndedInput():
                await live.send_realtime_input(audio_stream_end=True)
            case TextInput(note=True):
                return await self._note(item.text)
            case TextInput():
                await self._text(item.text, again)
            case ImageInput():
                return await self._image(item)
            case ToolResultInput():
                return await self._result(item)
            case UpdateInput():
                await self._update(item)
            case TurnPausedInput() | TurnResumedInput() | TurnCancelledInput() | InterruptInput():
                return False
            case ControlInput() | OutOfBandInput() | SpeechSuspectedInput():
                return False
            case _:
                assert_never(item)
        return True

    async def history(self, said: Sequence[tuple[str, str]]) -> None:
        """Tell a new session what was said before."""
        turns = [self._turn(role, text) for role, text in said]
        # Where history is announced, the service waits for its end; elsewhere that would ask for an answer.
        complete = self._settings.family.initial_history
        await self._live.send_client_content(turns=turns, turn_complete=complete)

    def _turn(self, role: str, text: str) -> Any:
        return self._types.Content(role=role, parts=[self._types.Part(text=text)])

    async def _text(self, text: str, again: bool) -> None:
        if not again:
            self._memory.note("user", text)
        await self.told(text)

    async def told(self, text: str) -> None:
        """Write something that is to be answered."""
        if self._settings.family.text_by == "realtime":
            await self._live.send_realtime_input(text=text)
        else:
            await self._live.send_client_content(turns=self._turn("user", text), turn_complete=True)

    async def _note(self, text: str) -> bool:
        if self._settings.family.initial_history:
            if not self._deaf_to_notes:
                self._deaf_to_notes = True
                family = self._settings.family.name
                self._emit(
                    BackendWarning(f"{family} cannot be told things without an answer: notes are dropped")
                )
            return False
        await self._live.send_client_content(turns=self._turn("user", text), turn_complete=False)
        return True

    async def _image(self, item: ImageInput) -> bool:
        if not item.content_type.startswith("image/"):
            self._emit(BackendWarning(f"{item.content_type} is no image: it was not sent to Gemini"))
            return False
        if len(item.data) > self._settings.max_image:
            size = len(item.data)
            advice = f"ask for smaller ones, or raise max_image ({self._settings.max_image})"
            self._emit(BackendWarning(f"an image of {size} bytes was not sent to Gemini: {advice}"))
            return False
        blob = self._types.Blob(data=item.data, mime_type=item.content_type)
        await self._live.send_realtime_input(video=blob)
        return True

    async def _result(self, item: ToolResultInput) -> bool:
        memory, call = self._memory, item.call
        name = memory.pending.get(call)
        if name is None:
            logger.debug("The result of tool call %s is no longer wanted", call)
            return False
        if item.will_continue and not self._settings.family.background_tools:
            # It would be taken for the result.
            logger.debug("The model takes no progress of tools: that of call %s is left out", call)
            return False
        response = self._types.FunctionResponse(
            id=call, name=name, response={"error" if item.error else "output": _value(item.result)}
        )
        if self._settings.family.background_tools:
            if item.will_continue:
                response.will_continue = True
            if item.scheduling is not None:
                response.scheduling = self._types.FunctionResponseScheduling(item.scheduling.upper())
        await self._live.send_tool_response(function_responses=response)
        if not item.will_continue:
            memory.pending.pop(call, None)
        return True

    async def _update(self, item: UpdateInput) -> None:
        from .setup import declarations

        changes: dict[str, Any] = {}
        if item.instructions is not None:
            changes["system_instruction"] = item.instructions
        if item.tools is not None:
            tools = declarations(self._settings, item.tools)
            changes["tools"] = [self._types.Tool.model_validate(tool) for tool in tools]
        if changes:
            await self._live.send_context_update(**changes)


def whole(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a tool with whole numbers as integers: the service has them as doubles, 7 as 7.0."""
    return {name: _whole(value) for name, value in arguments.items()}


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return whole(value)
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value


def _value(result: str) -> Any:
    """A result as the model likes it: JSON objects and arrays as what they are, anything else as text.

    A number or a word alone stays text: what looks like a number may be one of an order, with more digits
    than a double holds.
    """
    if result[:1] not in ("{", "["):
        return result
    try:
        value = json.loads(result)
    except (ValueError, RecursionError):
        return result
    return value if _readable(value) else result


def _readable(value: Any, depth: int = 0) -> bool:
    """Return whether the service can read a value: no NaN (no JSON has it), and not nested too deep."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, (dict, list)):
        items = value.values() if isinstance(value, dict) else value
        return depth < _DEEPEST and all(_readable(item, depth + 1) for item in items)
    return True
