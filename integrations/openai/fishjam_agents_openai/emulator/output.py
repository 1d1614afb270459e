"""Output of the emulated Realtime model: responses, in the full order of their events."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

import numpy as np

from fishjam_agents_openai.emulator.answers import sound
from fishjam_agents_openai.emulator.input_buffer import RATE
from fishjam_agents_openai.emulator.steps import (
    Close,
    Failed,
    Incomplete,
    NextItem,
    Raw,
    ScriptStep,
    ServerError,
    Sound,
    Tool,
    Words,
)

Tell = Callable[..., Awaitable[None]]
_USAGE = {
    "total_tokens": 130,
    "input_tokens": 100,
    "output_tokens": 30,
    "input_token_details": {
        "text_tokens": 20,
        "audio_tokens": 80,
        "image_tokens": 0,
        "cached_tokens": 50,
        "cached_tokens_details": {"text_tokens": 10, "audio_tokens": 40, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 10, "audio_tokens": 20},
}
_LIMITS = [{"name": "requests", "limit": 1000, "remaining": 999, "reset_seconds": 60}]
_OLD_NAMES = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "conversation.item.added": "conversation.item.created",
}
"""Of events that had another name in the beta."""
_GONE = frozenset({"conversation.item.done"})
"""Events that the beta did not have."""


def beta_name(kind: str) -> str | None:
    """The name of an event in the beta; None when it had none."""
    return None if kind in _GONE else _OLD_NAMES.get(kind, kind)


@dataclass(eq=False)
class Response:
    """A response.

    Attributes:
        id: Its id.
        fields: What it was asked for with.
        output: Its items so far.
        place: The item and part that is being given, None between two.
        words: Of that part so far.
    """

    id: str
    fields: Mapping[str, Any]
    output: list[dict[str, Any]] = field(default_factory=list)
    place: dict[str, Any] | None = None
    words: str = ""
    task: asyncio.Task[None] | None = None

    @property
    def apart(self) -> bool:
        """True if it is out of band."""
        return self.fields.get("conversation") == "none"

    @property
    def written(self) -> bool:
        """True if it is in writing."""
        return self.fields.get("output_modalities") == ["text"]


class EmulatedOutput:
    """The output of one connection.

    Args:
        tell: Sends an event.
        raw: Sends a message as it is.
        close: Ends the connection.
        ids: For items.
        write: Sends what is written down of the user's turns, which is done while the model answers.

    Attributes:
        lengths: Seconds of sound of each item.
        active: The response to the conversation that is being given.
        cancelled: The last one that was cancelled.
    """

    def __init__(
        self,
        tell: Tell,
        raw: Callable[[Raw], Awaitable[None]],
        close: Callable[[Close], Awaitable[None]],
        ids: itertools.count[int],
        write: Callable[[], Awaitable[None]],
    ) -> None:
        self.lengths: dict[str, float] = {}
        self.active: Response | None = None
        self.cancelled: Response | None = None
        self._tell = tell
        self._raw = raw
        self._close = close
        self._ids = ids
        self._write = write
        self._apart: set[asyncio.Task[None]] = set()

    def respond(self, says: Sequence[ScriptStep], fields: Mapping[str, Any]) -> None:
        """Begin a response."""
        response = Response(f"resp_{next(self._ids)}", fields)
        task = asyncio.get_running_loop().create_task(self._answer(response, says))
        response.task = task
        if response.apart:
            self._apart.add(task)
            task.add_done_callback(self._apart.discard)
        else:
            self.active = response

    async def cancel(self, reason: str) -> None:
        """End the response that is being given, as the service does."""
        response, self.active = self.active, None
        if response is None or response.task is None:
            return
        response.task.cancel()
        await asyncio.gather(response.task, return_exceptions=True)
        self.cancelled = response
        await self._item_done(response, "incomplete")
        details = {"type": "cancelled", "reason": reason}
        await self._done(response, "cancelled", status_details=details)

    async def end(self) -> None:
        """The connection is over."""
        tasks = [*self._apart, *([self.active.task] if self.active and self.active.task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def late(self, samples: Any) -> None:
        """More sound of the response that was cancelled."""
        if self.cancelled is not None and self.cancelled.output:
            await self._delta(self.cancelled, self.cancelled.output[-1]["id"], samples)

    async def _answer(self, response: Response, says: Sequence[ScriptStep]) -> None:
        shown = {"id": response.id, "object": "realtime.response", "status": "in_progress", "output": []}
        metadata = response.fields.get("metadata")
        if says and isinstance(says[0], ServerError):
            await self._stumble(response, says[0])
            return
        await self._tell("response.created", response=shown | {"metadata": metadata})
        for step in says:
            match step:
                case str():
                    await self._say(response, step)
                case Sound(samples):
                    await self._item(response)
                    await self._delta(response, response.output[-1]["id"], samples)
                case Words(text):
                    await self._write_out(response, text)
                case float():
                    await asyncio.sleep(step)
                case NextItem():
                    await self._item_done(response, "completed")
                case Tool():
                    await self._item_done(response, "completed")
                    await self._call(response, step)
                case Close():
                    await self._close(step)
                    return
                case Raw():
                    await self._raw(step)
                case Incomplete(reason):
                    await self._item_done(response, "incomplete")
                    ended = {"type": "incomplete", "reason": reason}
                    await self._finish(response, "incomplete", status_details=ended)
                    return
                case ServerError():
                    await self._stumble(response, step)
                    return
                case Failed(code, message, kind):
                    await self._item_done(response, "incomplete")
                    error = {"type": kind, "code": code, "message": message}
                    details = {"type": "failed", "error": error}
                    await self._finish(response, "failed", status_details=details)
                    return
                case _:
                    assert_never(step)
        await self._item_done(response, "completed")
        await self._finish(response, "completed")

    async def _stumble(self, response: Response, stumble: ServerError) -> None:
        """End a response without its `response.done`."""
        if self.active is response:
            self.active = None
        await self._tell("error", error=stumble.error)

    async def _finish(self, response: Response, status: str, **more: Any) -> None:
        if self.active is response:
            self.active = None
        await self._done(response, status, **more)

    # --- items ---

    async def _item(self, response: Response) -> None:
        if response.place is not None:
            return
        item = f"item_{next(self._ids)}"
        index = len(response.output)
        message = {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        response.output.append(message)
        response.place = {
            "response_id": response.id,
            "item_id": item,
            "output_index": index,
            "content_index": 0,
        }
        response.words = ""
        where = {"response_id": response.id, "output_index": index}
        await self._tell("response.output_item.added", **where, item=message)
        if not response.apart:
            await self._tell("conversation.item.added", item=message, previous_item_id=None)
        await self._tell("response.content_part.added", **response.place, part=self._part(response))

    def _part(self, response: Response) -> dict[str, Any]:
        if response.written:
            return {"type": "output_text", "text": response.words}
        return {"type": "output_audio", "transcript": response.words}

    async def _say(self, response: Response, words: str) -> None:
        place = await self._write_out(response, words)
        if response.written:
            return
        for piece in sound(words, RATE):
            samples = np.frombuffer(piece[: len(piece) & ~1], "<i2")
            await self._delta(response, place["item_id"], samples)
            await asyncio.sleep(0)

    async def _write_out(self, response: Response, words: str) -> Mapping[str, Any]:
        await self._item(response)
        assert response.place is not None
        response.words += words
        kind = "text" if response.written else "audio_transcript"
        await self._tell(f"response.output_{kind}.delta", **response.place, delta=words)
        return response.place

    async def _delta(self, response: Response, item: str, samples: Any) -> None:
        self.lengths[item] = self.lengths.get(item, 0.0) + len(samples) / RATE
        delta = base64.b64encode(np.ascontiguousarray(samples, "<i2").tobytes()).decode()
        place = {"response_id": response.id, "item_id": item, "output_index": 0, "content_index": 0}
        await self._tell("response.output_audio.delta", **(response.place or place), delta=delta)
        await self._write()

    async def _item_done(self, response: Response, status: str) -> None:
        place, response.place = response.place, None
        if place is None:
            return
        message = response.output[-1]
        message |= {"status": status, "content": [self._part(response)]}
        if response.written:
            await self._tell("response.output_text.done", **place, text=response.words)
        else:
            await self._tell("response.output_audio.done", **place)
            await self._tell("response.output_audio_transcript.done", **place, transcript=response.words)
        await self._tell("response.content_part.done", **place, part=self._part(response))
        if not response.apart:
            await self._tell("conversation.item.done", item=message, previous_item_id=None)
        where = {"response_id": response.id, "output_index": place["output_index"]}
        await self._tell("response.output_item.done", **where, item=message)

    async def _call(self, response: Response, tool: Tool) -> None:
        number = next(self._ids)
        item = {
            "id": f"item_{number}",
            "type": "function_call",
            "status": "completed",
            "call_id": tool.call or f"call_{number}",
            "name": tool.name,
            "arguments": tool.arguments,
        }
        index = len(response.output)
        response.output.append(item)
        where = {"response_id": response.id, "output_index": index}
        await self._tell("response.output_item.added", **where, item=item | {"arguments": ""})
        await self._tell("conversation.item.added", item=item, previous_item_id=None)
        part = {**where, "item_id": item["id"], "call_id": item["call_id"]}
        await self._tell("response.function_call_arguments.delta", **part, delta=tool.arguments)
        done = {**part, "name": tool.name, "arguments": tool.arguments}
        await self._tell("response.function_call_arguments.done", **done)
        await self._tell("conversation.item.done", item=item, previous_item_id=None)
        await self._tell("response.output_item.done", **where, item=item)

    async def _done(self, response: Response, status: str, **more: Any) -> None:
        told = {
            "id": response.id,
            "object": "realtime.response",
            "status": status,
            "output": response.output,
            "metadata": response.fields.get("metadata"),
            "usage": _USAGE,
        }
        await self._write()
        await self._tell("response.done", response=told | more)
        await self._tell("rate_limits.updated", rate_limits=_LIMITS)
