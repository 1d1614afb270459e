"""OpenAI Realtime: interruptions that cross what the service says on the wire, event by event."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

from fishjam_agents_openai.realtime.memory import Memory
from fishjam_agents_openai.realtime.responses import Responses

from fishjam_agents.backends import port as p
from fishjam_agents.events import Heard

SECOND = base64.b64encode(bytes(48000)).decode()


class Wire:
    """The responses of a connection, what they tell, and what the service is told."""

    def __init__(self) -> None:
        self.events: list[p.BackendEvent] = []
        self.sent: list[dict[str, Any]] = []
        memory = Memory(None, ())
        self.responses = Responses(self.events.append, memory, self.sent.append, lambda: None)

    def created(self, identity: str = "r1") -> None:
        self.responses.handle({"type": "response.created", "response": {"id": identity}})

    def sound(self, item: str = "a", identity: str = "r1") -> None:
        delta = {"response_id": identity, "item_id": item, "delta": SECOND}
        self.responses.handle({"type": "response.output_audio.delta", **delta})

    def words(self, identity: str = "r1") -> None:
        delta = {"response_id": identity, "item_id": "a", "delta": "Well"}
        self.responses.handle({"type": "response.output_audio_transcript.delta", **delta})

    def done(self, *items: str, identity: str = "r1") -> None:
        output = [{"type": "message", "id": item} for item in items]
        response = {"id": identity, "status": "cancelled", "output": output}
        self.responses.handle({"type": "response.done", "response": response})

    def cut(self, seconds: float | None) -> list[str]:
        """Interrupt; what the service is told, in short."""
        told = self.responses.cut(None if seconds is None else Heard("openai-1", seconds, "so far"))
        return [self.short(event) for event in told]

    @staticmethod
    def short(event: dict[str, Any]) -> str:
        kind = event["type"].rpartition(".")[2]
        return " ".join(str(part) for part in (kind, event.get("item_id"), event.get("audio_end_ms")) if part)


def play(scene: Callable[[Wire], None]) -> None:
    async def main() -> None:
        scene(Wire())

    asyncio.run(main())


def test_what_was_on_its_way_when_a_reply_was_cut_is_not_heard() -> None:
    def scene(wire: Wire) -> None:
        wire.created()
        wire.sound()
        wire.cut(0.5)
        before = len(wire.events)
        wire.sound()
        wire.words()
        wire.done("a")
        assert [type(event) for event in wire.events[before:]] == [p.ReplyAudioEnded]

    play(scene)


def test_a_response_that_was_cancelled_before_it_was_there_is_not_heard() -> None:
    def scene(wire: Wire) -> None:
        wire.responses.ask()
        assert wire.cut(None) == ["cancel"]
        wire.created()
        wire.words()
        wire.sound()
        wire.done("a")
        assert not wire.events
        # What was never heard is not to be remembered.
        assert [wire.short(event) for event in wire.sent] == ["create", "delete a"]
        wire.created("r2")
        wire.sound("b", "r2")
        assert [type(event) for event in wire.events] == [p.ReplyStarted, p.ReplyAudio]

    play(scene)


def test_a_response_is_cancelled_once() -> None:
    def scene(wire: Wire) -> None:
        wire.created()
        wire.sound()
        assert wire.cut(0.5) == ["cancel", "truncate a 500"]
        assert wire.cut(None) == []

    play(scene)


def test_of_a_reply_that_is_under_way_no_more_is_kept_than_there_is() -> None:
    def scene(wire: Wire) -> None:
        wire.created()
        wire.sound()
        # More of the item is on its way: without a truncation the model would take it for heard.
        assert wire.cut(9.0) == ["cancel", "truncate a 1000"]
        wire.done("a", "b")
        assert [wire.short(event) for event in wire.sent] == ["delete b"]

    play(scene)
