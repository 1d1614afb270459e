"""Traces of real calls under the names of the conventions; once to a real receiver."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from fishjam_agents import events, tool
from fishjam_agents.backends import port as p
from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.events import Event, Heard
from fishjam_agents.observe.tracing import CallTracing
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from tests.cli.test_run import LAST_LINE, PARROT, running, written
from tests.pipeline.conftest import speech, tone

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


class Traced:
    """A bot whose spans are kept."""

    def __init__(self, bot: AgentPipeline) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        CallTracing(provider).observe(bot, "room-1", "clerk")
        self.bot = bot

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def one(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def within(self, span: ReadableSpan) -> set[str]:
        """Names of the spans right below one."""
        return {
            child.name
            for child in self.spans
            if child.parent and child.parent.span_id == span.context.span_id
        }


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


class Clerk(AgentPipeline):
    @tool
    async def weather(self) -> str:
        """Tell the weather."""
        await asyncio.sleep(0.4)
        return "rain"


def test_a_call_holds_its_turns_and_a_turn_its_model_tools_and_voice() -> None:
    bot = Clerk()
    bot.backend = Scripted(
        [
            Step(p.TurnStartedInput),
            Step(p.TurnEndedInput, [p.ToolCall("c1", "weather", {})]),
            Step(
                p.ToolResultInput,
                [0.5, p.ReplyStarted("r1"), p.ReplyAudio("r1", tone(1.5)), p.ReplyAudioEnded("r1")],
            ),
        ],
        p.Capabilities(tools=True),
    )
    traced = Traced(bot)
    with MemoryCall(bot) as call:
        ann = call.join("ann")
        ann.say(speech("alice_question.wav"))
        call.until("reply_ended")
    root = traced.one("invoke_agent clerk")
    assert root.parent is None
    assert dict(root.attributes or {}) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "clerk",
        "gen_ai.conversation.id": root.attributes["gen_ai.conversation.id"],  # type: ignore[index]
        "fishjam_agents.room": "room-1",
        "fishjam_agents.backend": "Scripted",
        "fishjam_agents.end_reason": "stopped",
    }
    assert traced.within(root) == {"turn"}
    turn = traced.one("turn")
    assert traced.within(turn) == {"end_of_turn", "execute_tool weather", "chat Scripted", "voice"}
    assert len({span.context.trace_id for span in traced.spans}) == 1
    (ended,) = call.of("user_turn_ended")
    (sounded,) = call.of("reply_first_audio")
    (played,) = call.of("reply_ended")
    assert seconds(traced.one("end_of_turn")) == pytest.approx(ended.at - ended.media_at)
    assert seconds(traced.one("chat Scripted")) == pytest.approx(sounded.at - ended.at)
    assert seconds(traced.one("voice")) == pytest.approx(played.at - sounded.at)
    assert seconds(turn) == pytest.approx(played.at - ended.start)
    assert seconds(traced.one("execute_tool weather")) == pytest.approx(0.4, abs=0.05)
    tool_span = dict(traced.one("execute_tool weather").attributes or {})
    assert tool_span["gen_ai.tool.name"] == "weather"
    assert tool_span["gen_ai.tool.call.id"] == "c1"


def play(*stream: Event) -> Traced:
    bot = AgentPipeline()
    bot.backend = Parrot()
    traced = Traced(bot)
    for event in stream:
        bot.observers[0](event)
    return traced


def test_parts_of_a_cascade_are_within_the_model() -> None:
    traced = play(
        events.CallStarted(0.0),
        events.UserTurnEnded(2.5, 2.0, "ann", "mic", 1.0, "t1"),
        events.ReplyStarted("r1", at=3.0),
        events.ReplyFirstAudio(3.3, "r1"),
        events.BackendUsage({"prompt_tokens": 12.0, "seconds": 3.0}, 0.5, 0.5, at=3.4),
        events.ReplyInterrupted(4.0, "r1", Heard("r1", 0.7)),
        events.ReplyLatency("r1", {"stt": 0.3, "llm": 0.3, "tts": 0.1}, at=4.0),
        events.CallEnded(5.0, "backend_failure", "it is gone"),
    )
    model = traced.one("chat Parrot")
    assert traced.within(model) == {"stt", "llm", "tts"}
    assert traced.one("llm").start_time == traced.one("stt").end_time
    assert traced.one("stt").start_time == model.start_time
    assert dict(traced.one("voice").attributes or {})["fishjam_agents.interrupted"] is True
    root = traced.one("invoke_agent clerk")
    assert root.status.status_code is StatusCode.ERROR
    assert root.status.description == "it is gone"
    assert dict(root.attributes or {})["fishjam_agents.total_cost"] == 0.5
    (usage,) = traced.one("turn").events
    assert dict(usage.attributes or {}) == {
        "gen_ai.usage.input_tokens": 12.0,
        "fishjam_agents.usage.seconds": 3.0,
        "fishjam_agents.cost": 0.5,
    }


def test_what_is_open_when_a_call_ends_ends_with_it() -> None:
    traced = play(
        events.CallStarted(0.0),
        events.ReplyStarted("play-1", at=0.1),
        events.ReplyFirstAudio(0.2, "play-1"),
        events.UserTurnEnded(2.5, 2.0, "ann", "mic", 1.0, "t1"),
        events.CallEnded(5.0, "stopped"),
    )
    assert {span.name for span in traced.spans} == {"invoke_agent clerk", "turn", "end_of_turn", "voice"}
    assert seconds(traced.one("voice")) == pytest.approx(4.8)


@asynccontextmanager
async def collector() -> AsyncIterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """A receiver of OTLP over HTTP."""
    received: list[ExportTraceServiceRequest] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                assert head.startswith("post /v1/traces http/1.1")
                assert "content-type: application/x-protobuf" in head
                length = int(head.split("content-length: ")[1].split("\r\n")[0])
                received.append(ExportTraceServiceRequest.FromString(await reader.readexactly(length)))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/traces", received
    finally:
        server.close()


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_run_sends_them_to_a_collector(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector() as (endpoint, received):
            tracing = f"observe: {{tracing: {{endpoint: '{endpoint}', service: desk}}}}\n"
            config = written(tmp_path, PARROT + "fishjam: {port: 0}\n" + tracing)
            async with running(config, "--caller", FIXTURES / "alice_yes.wav") as run:
                await run.says(LAST_LINE)
                await run.logs("was played")
                run.interrupt()
                assert (await run.exits())[0] == 0
        (service,) = {
            attribute.value.string_value
            for request in received
            for resource in request.resource_spans
            for attribute in resource.resource.attributes
            if attribute.key == "service.name"
        }
        assert service == "desk"
        names = {
            span.name
            for request in received
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }
        assert names >= {"invoke_agent agent", "turn", "chat Parrot", "voice"}

    asyncio.run(scenario())
