"""Metrics of calls from their events, for Prometheus."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from fishjam_agents import events
from fishjam_agents.errors import FailureKind
from fishjam_agents.events import EndReason, Event
from fishjam_agents.observe.answers import Answer, AnswerTracker
from fishjam_agents.observe.metrics.definitions import METRICS, OTHER, PARTS, PREFIX
from fishjam_agents.pipeline import AgentPipeline

_UNITS = 64
"""Names of what vendors count that have a label of their own, of all backends."""
_BACKENDS = 64
"""Backends that have a label of their own."""
_UNTIMED = 16
"""Answers that wait for their backend to tell its parts."""
_PARTS: Mapping[str, str] = {"stt": "transcript", "tts": "voice"}
"""Parts of a cascade under the names of the metric; its other parts are the model's."""
_REASONS = frozenset(get_args(EndReason))
_FAILURES = frozenset(get_args(FailureKind))
_OUTCOMES = frozenset(
    {"ok", "error", "timeout", "cancelled", "abandoned", "refused", "repeated", "elsewhere"}
)


class CallMetrics:
    """Metrics of the calls of a process.

    Args:
        registry: Where they are registered; None makes a registry of their own.

    Attributes:
        registry: Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._units: set[str] = set()
        self._backends: set[str] = set()
        for metric in METRICS:
            name, common = f"{PREFIX}{metric.name}", (metric.help, metric.labels)
            match metric.kind:
                case "counter":
                    self._counters[metric.name] = Counter(name, *common, registry=self.registry)
                case "gauge":
                    self._gauges[metric.name] = Gauge(name, *common, registry=self.registry)
                case "histogram":
                    self._histograms[metric.name] = Histogram(
                        name, *common, registry=self.registry, buckets=metric.buckets
                    )

    def observe(self, pipeline: AgentPipeline, bot: str = "agent") -> None:
        """Count the call of a bot that has not begun yet.

        Args:
            pipeline: The bot.
            bot: Its name; one of few.
        """
        pipeline.observers.append(_Observer(self, bot, lambda: type(pipeline.backend).__name__))

    def count(self, name: str, amount: float, *labels: str) -> None:
        """Add to a counter; what cannot be added (negative, no number) is left out."""
        if amount >= 0 and math.isfinite(amount):
            self._counters[name].labels(*labels).inc(amount)

    def time(self, name: str, seconds: float, *labels: str) -> None:
        """Put a duration into a histogram; less than nothing is nothing."""
        if math.isfinite(seconds):
            self._histograms[name].labels(*labels).observe(max(seconds, 0.0))

    def add(self, name: str, amount: int, *labels: str) -> None:
        """Change a gauge."""
        self._gauges[name].labels(*labels).inc(amount)

    def unit(self, name: str) -> str:
        """The label of what a vendor counts."""
        return _bounded(name, self._units, _UNITS)

    def backend(self, name: str) -> str:
        """The label of a backend."""
        return _bounded(name, self._backends, _BACKENDS)


class _Observer:
    """One call. An observer: it takes every event, and must be quick."""

    def __init__(self, metrics: CallMetrics, bot: str, backend: Callable[[], str]) -> None:
        self._metrics = metrics
        self._bot = bot
        self._backend_name = backend
        self._answers = AnswerTracker()
        self._untimed: OrderedDict[str, Answer] = OrderedDict()
        self._over: set[str] = set()
        # Times at which connections were lost that are not back, by their kind.
        self._away: dict[str, list[float]] = {}

    def __call__(self, event: Event) -> None:
        answer = self._answers.take(event)
        if answer is not None and not answer.waited:
            self._answered(answer)
        metrics, bot = self._metrics, self._bot
        match event:
            case events.CallStarted():
                metrics.add("bots", 1, bot)
            case events.CallEnded():
                self._tell_untimed()
                metrics.add("bots", -1, bot)
                self._end_outages(event.at)
                metrics.time("call_seconds", event.at, bot, _known(event.reason, _REASONS))
            case events.UserTurnEnded():
                self._tell_untimed()
                metrics.count("turns", 1, bot)
            case events.ReplyEnded() | events.ReplyInterrupted():
                played = isinstance(event, events.ReplyEnded)
                metrics.count("replies", 1, bot, "played" if played else "interrupted")
                if event.reply in self._untimed:
                    self._over.add(event.reply)
            case events.ReplyLatency():
                self._over.discard(event.reply)
                answer = self._untimed.pop(event.reply, None)
                if answer is not None:
                    self._tell_parts(answer, event.parts)
            case events.UserTranscript(media_at=float(media_at)):
                backend = metrics.backend(self._backend_name())
                words = "final" if event.final else "partial"
                metrics.time("transcript_delay_seconds", event.at - media_at, bot, backend, words)
            case events.BargeInSuspected():
                metrics.time("barge_in_seconds", event.at - event.media_at, bot)
            case events.BargeInConfirmed():
                metrics.count("barge_ins", 1, bot, "confirmed")
            case events.BargeInWithdrawn():
                metrics.count("barge_ins", 1, bot, "withdrawn")
            case events.AudioUnderrun():
                metrics.count("underruns", event.times, bot)
            case events.AudioDropped():
                metrics.count("dropped_audio_seconds", event.seconds, bot, event.direction)
            case events.LoopLag():
                metrics.time("late_seconds", event.seconds, bot)
            case events.ConnectionLost():
                connection = _connection(event.what)
                metrics.count("lost_connections", 1, bot, connection)
                metrics.add("connections_away", 1, bot, connection)
                self._away.setdefault(connection, []).append(event.at)
            case events.Outage():
                connection = _connection(event.what)
                metrics.time("outage_seconds", event.seconds, bot, connection)
                metrics.count("away_seconds", event.seconds, bot, connection)
                if self._away.get(connection):
                    self._away[connection].pop(0)
                    metrics.add("connections_away", -1, bot, connection)
            case events.BackendFailure():
                backend = self._backend(event.backend)
                metrics.count("backend_failures", 1, bot, backend, _known(event.failure, _FAILURES))
            case events.BackendUsage():
                self._used(event)
            case events.ToolCalled():
                metrics.time("tool_seconds", event.duration, bot, _known(event.outcome, _OUTCOMES))
            case events.ErrorRaised():
                metrics.count("errors", 1, bot)
            case _:
                pass

    def _end_outages(self, at: float) -> None:
        """Take leave of connections that are not back when the call ends."""
        for connection, lost in self._away.items():
            for begun in lost:
                self._metrics.count("away_seconds", at - begun, self._bot, connection)
                self._metrics.add("connections_away", -1, self._bot, connection)
        self._away.clear()

    def _backend(self, name: str | None = None) -> str:
        return self._metrics.backend(self._backend_name() if name is None else name)

    def _used(self, event: events.BackendUsage) -> None:
        backend = self._backend(event.backend)
        for name, amount in event.amounts.items():
            self._metrics.count("usage", amount, self._bot, backend, self._metrics.unit(name))
        if event.cost is not None:
            self._metrics.count("cost", event.cost, self._bot, backend)

    def _answered(self, answer: Answer) -> None:
        self._metrics.time("response_seconds", answer.seconds, self._bot, self._backend())
        # A backend tells its parts when it is done with the reply, or it has none to tell.
        self._untimed[answer.reply] = answer
        if len(self._untimed) > _UNTIMED:
            self._tell_parts(self._untimed.popitem(last=False)[1], {})

    def _tell_untimed(self) -> None:
        for reply in self._over:
            answer = self._untimed.pop(reply, None)
            if answer is not None:
                self._tell_parts(answer, {})
        self._over.clear()

    def _tell_parts(self, answer: Answer, told: Mapping[str, float]) -> None:
        backend = self._backend()
        for part, seconds in parts_of(answer, told).items():
            self._metrics.time("response_part_seconds", seconds, self._bot, backend, part)


def parts_of(answer: Answer, told: Mapping[str, float]) -> dict[str, float]:
    """Seconds of an answer by `PARTS`.

    Without what a backend tells, all after the end of the turn is the model's. What was done ahead of the end
    of the turn (`ahead`, below zero) kept nobody waiting: it is taken from the parts in their order.

    Args:
        answer: The answer.
        told: What the backend tells (`ReplyLatency.parts`).
    """
    after = max(answer.sounded - answer.decided, 0.0)
    parts = dict.fromkeys(PARTS, 0.0)
    parts["end_of_turn"] = max(answer.decided - answer.spoken, 0.0)
    if not told:
        parts["model"] = after
        return {name: parts[name] for name in ("end_of_turn", "model")}
    ahead = -min(told.get("ahead", 0.0), 0.0)
    for name, seconds in told.items():
        if name != "ahead":
            done = min(ahead, max(seconds, 0.0))
            ahead -= done
            parts[_PARTS.get(name, "model")] += seconds - done
    parts["playout"] = max(after - sum(parts[name] for name in ("transcript", "model", "voice")), 0.0)
    return parts


def _known(value: str, values: frozenset[str]) -> str:
    return value if value in values else OTHER


def _bounded(value: str, known: set[str], most: int) -> str:
    if value not in known:
        if len(known) >= most:
            return OTHER
        known.add(value)
    return value


def _connection(what: str) -> str:
    """The label of a connection."""
    return what if what in ("backend", "agent_socket") else OTHER
