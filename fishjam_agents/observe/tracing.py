"""Traces of calls for OpenTelemetry, from their events: call > turn > model, tool, voice. Extra `otel`.

Names of spans and attributes are those of the semantic conventions for generative AI where there are such
(`gen_ai.*`, opentelemetry.io/docs/specs/semconv/gen-ai), else below `fishjam_agents.`.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    TracerProvider,
    set_span_in_context,
)

from fishjam_agents import events
from fishjam_agents._version import __version__
from fishjam_agents.events import Event
from fishjam_agents.observe.answers import Answer, AnswerTracker
from fishjam_agents.pipeline import AgentPipeline

_OURS = "fishjam_agents."
_KEPT = 32
"""Replies that are followed at once, the latest ones."""
_TOKENS = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
}
"""Counts of vendors under names that the conventions know."""


class CallTracing:
    """Makes traces of the calls of a process, one of each.

    Args:
        provider: Where they go.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("fishjam_agents", __version__)

    def observe(self, pipeline: AgentPipeline, room: str, bot: str = "agent") -> None:
        """Trace the call of a bot that has not begun yet.

        Args:
            pipeline: The bot.
            room: Id of its room.
            bot: Its name.
        """
        pipeline.observers.append(_CallTrace(self._tracer, pipeline, room, bot))


@dataclass(slots=True)
class _Turn:
    span: Span
    decided: float


class _CallTrace:
    """The trace of one call. An observer: spans are made as their events come."""

    def __init__(self, tracer: Tracer, pipeline: AgentPipeline, room: str, bot: str) -> None:
        self._tracer = tracer
        self._pipeline = pipeline
        self._room = room
        self._bot = bot
        self._zero = 0
        self._call: Span | None = None
        self._turn: _Turn | None = None
        self._answers = AnswerTracker()
        self._sounding: OrderedDict[str, tuple[float, Span | None]] = OrderedDict()
        self._models: OrderedDict[str, tuple[float, Span]] = OrderedDict()

    def __call__(self, event: Event) -> None:
        answer = self._answers.take(event)
        if isinstance(event, events.CallStarted):
            self._begin(event.at)
        if self._call is None:
            return
        match event:
            case events.UserTurnEnded():
                self._turn_ended(event)
            case events.ReplyFirstAudio():
                self._sounding[event.reply] = (event.at, None)
                _bound(self._sounding)
            case events.ReplyEnded() | events.ReplyInterrupted():
                self._reply_over(event)
            case events.ReplyLatency():
                self._parts(event)
            case events.ToolCalled():
                self._tool(event)
            case events.BackendUsage():
                self._used(event)
            case (
                events.BargeInSuspected()
                | events.BargeInConfirmed()
                | events.BargeInWithdrawn()
                | events.ConnectionLost()
                | events.Outage()
                | events.AudioUnderrun()
                | events.LoopLag()
                | events.Overload()
                | events.PeerJoined()
                | events.PeerLeft()
            ):
                self._note(event)
            case events.BackendFailure() | events.ErrorRaised():
                self._note(event, {"exception.message": event.message})
            case events.CallEnded():
                self._end(event)
            case _:
                pass
        if answer is not None:
            self._answered(answer)

    def _begin(self, at: float) -> None:
        self._zero = time.time_ns() - round(at * 1e9)
        self._call = self._tracer.start_span(
            f"invoke_agent {self._bot}",
            start_time=self._ns(at),
            attributes={
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": self._bot,
                "gen_ai.conversation.id": self._pipeline.call_id or "",
                f"{_OURS}room": self._room,
                f"{_OURS}backend": self._backend,
            },
        )

    def _end(self, event: events.CallEnded) -> None:
        assert self._call is not None
        self._close_turn(event.at)
        for reply, (since, turn) in self._sounding.items():
            self._span("voice", since, event.at, turn, {f"{_OURS}reply": reply})
        self._sounding.clear()
        self._call.set_attribute(f"{_OURS}end_reason", event.reason)
        if event.message is not None:
            self._call.set_status(Status(StatusCode.ERROR, event.message))
        self._call.end(self._ns(event.at))
        self._call = None

    def _turn_ended(self, event: events.UserTurnEnded) -> None:
        self._close_turn(event.at)
        attributes: dict[str, str | float] = {
            f"{_OURS}turn": event.turn,
            f"{_OURS}end_of_turn_seconds": event.at - event.media_at,
            f"{_OURS}turn_end_reason": event.reason,
        }
        if event.rule is not None:
            attributes[f"{_OURS}turn_end_rule"] = event.rule
        if event.probability is not None:
            attributes[f"{_OURS}turn_end_probability"] = event.probability
        span = self._start("turn", event.start, None, attributes)
        self._turn = _Turn(span, event.at)
        self._span("end_of_turn", event.media_at, event.at, span)

    def _close_turn(self, at: float) -> None:
        turn, self._turn = self._turn, None
        if turn is not None and turn.span.is_recording():
            turn.span.end(self._ns(at))

    def _answered(self, answer: Answer) -> None:
        turn = None if self._turn is None else self._turn.span
        attributes: dict[str, str | float] = {
            "gen_ai.operation.name": "chat",
            f"{_OURS}backend": self._backend,
            f"{_OURS}reply": answer.reply,
        }
        begun = min(answer.decided, answer.sounded)
        model = self._start(f"chat {self._backend}", begun, turn, attributes, SpanKind.CLIENT)
        model.end(self._ns(answer.sounded))
        self._models[answer.reply] = (answer.decided, model)
        _bound(self._models)
        if turn is not None:
            turn.set_attribute(f"{_OURS}response_seconds", answer.seconds)
        if answer.reply in self._sounding:
            self._sounding[answer.reply] = (answer.sounded, turn)

    def _reply_over(self, event: events.ReplyEnded | events.ReplyInterrupted) -> None:
        since, turn = self._sounding.pop(event.reply, (None, None))
        if since is None:
            return
        interrupted = isinstance(event, events.ReplyInterrupted)
        attributes: dict[str, str | float | bool] = {
            f"{_OURS}reply": event.reply,
            f"{_OURS}heard_seconds": event.heard.seconds,
            f"{_OURS}interrupted": interrupted,
        }
        self._span("voice", since, event.at, turn, attributes)
        if self._turn is not None and turn is self._turn.span:
            self._close_turn(event.at)

    def _parts(self, event: events.ReplyLatency) -> None:
        decided, model = self._models.pop(event.reply, (None, None))
        if decided is None:
            return
        # What was done ahead of the end of the turn began before it.
        at = decided + min(event.parts.get("ahead", 0.0), 0.0)
        for name, seconds in event.parts.items():
            if name != "ahead" and seconds > 0:
                self._span(name, at, at + seconds, model)
                at += seconds

    def _tool(self, event: events.ToolCalled) -> None:
        attributes: dict[str, str | float | bool] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": event.tool,
            "gen_ai.tool.call.id": event.call,
            f"{_OURS}outcome": event.outcome,
        }
        if event.result is not None:
            attributes["gen_ai.tool.call.result"] = event.result
        turn = None if self._turn is None else self._turn.span
        span = self._start(f"execute_tool {event.tool}", event.at - event.duration, turn, attributes)
        if event.outcome in ("error", "timeout"):
            span.set_status(Status(StatusCode.ERROR, event.outcome))
            span.set_attribute("error.type", event.outcome)
        span.end(self._ns(event.at))

    def _used(self, event: events.BackendUsage) -> None:
        assert self._call is not None
        about = {_TOKENS.get(name, f"{_OURS}usage.{name}"): amount for name, amount in event.amounts.items()}
        if event.cost is not None:
            about[f"{_OURS}cost"] = event.cost
        span = self._call if self._turn is None else self._turn.span
        span.add_event("gen_ai.usage", about, self._ns(event.at))
        if event.total_cost is not None:
            self._call.set_attribute(f"{_OURS}total_cost", event.total_cost)

    def _note(self, event: Event, more: Mapping[str, str] | None = None) -> None:
        assert self._call is not None
        plain = {
            f"{_OURS}{name}": value
            for name, value in event.as_dict().items()
            if isinstance(value, str | float | int | bool) and name not in ("kind", "message", "at", "track")
        }
        self._call.add_event(event.kind, {**plain, **(more or {})}, self._ns(event.at))

    def _span(
        self,
        name: str,
        start: float,
        end: float,
        parent: Span | None,
        attributes: Mapping[str, str | float | bool] | None = None,
    ) -> None:
        self._start(name, start, parent, attributes or {}).end(self._ns(max(start, end)))

    def _start(
        self,
        name: str,
        at: float,
        parent: Span | None,
        attributes: Mapping[str, str | float | bool],
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Span:
        assert self._call is not None
        context = set_span_in_context(self._call if parent is None else parent)
        return self._tracer.start_span(
            name, context, kind, attributes=dict(attributes), start_time=self._ns(at)
        )

    @property
    def _backend(self) -> str:
        return type(self._pipeline.backend).__name__

    def _ns(self, at: float) -> int:
        return self._zero + round(at * 1e9)


def _bound(known: OrderedDict[str, tuple[float, Span | None]] | OrderedDict[str, tuple[float, Span]]) -> None:
    while len(known) > _KEPT:
        known.popitem(last=False)
