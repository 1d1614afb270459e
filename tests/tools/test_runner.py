"""Every call is answered once, whatever happens and in whichever order."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishjam_agents.backends import port as p
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.errors import BackendError
from fishjam_agents.testing import VirtualClock
from fishjam_agents.tools.runner import MAX_RUNNING
from tests.tools.desk import TOOLS, Desk, at_desk


def test_calls_run_at_once_and_each_is_answered_when_it_is_ready(virtual_clock: VirtualClock) -> None:
    async def script(desk: Desk) -> None:
        desk.call("a", "wait", seconds=2)
        desk.call("b", "wait", seconds=1)
        await asyncio.sleep(3)

    desk = at_desk(virtual_clock, script)
    assert desk.entries == [
        p.ToolResultInput("b", "waited 1", "wait"),
        p.ToolResultInput("a", "waited 2", "wait"),
    ]
    assert desk.told == [("wait", "b", "ok"), ("wait", "a", "ok")]
    assert desk.times == {"a": pytest.approx(2), "b": pytest.approx(1)}


def test_a_tool_that_hangs_is_answered_at_its_deadline_even_if_it_will_not_end(
    virtual_clock: VirtualClock,
) -> None:
    async def script(desk: Desk) -> None:
        desk.call("a", "stubborn", seconds=100)
        await asyncio.sleep(5.01)
        assert desk.entries == [
            p.ToolResultInput(
                "a", "stubborn did not answer within 5 s and was given up", "stubborn", error=True
            )
        ]
        await asyncio.sleep(400)

    assert at_desk(virtual_clock, script).told == [("stubborn", "a", "timeout")]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("told", "fail: the shop is closed"),
        ("cancelled", "fail was broken off: say that it did not work"),
        ("exit", "fail failed (RuntimeError): say that it did not work"),
        ("timeout", "fail failed (TimeoutError): say that it did not work"),
        ("unspeakable", "fail: a object is neither text nor JSON"),
        ("key", "fail failed (ValueError): say that it did not work"),
    ],
)
def test_what_goes_wrong_is_told_in_words_and_holds_no_secret(
    virtual_clock: VirtualClock, kind: str, words: str
) -> None:
    async def script(desk: Desk) -> None:
        desk.call("a", "fail", kind=kind)
        await asyncio.sleep(0.1)

    desk = at_desk(virtual_clock, script)
    assert desk.entries == [p.ToolResultInput("a", words, "fail", error=True)]
    assert [name for name, _ in desk.errors] == ["fail"] * (kind in ("exit", "timeout", "key", "unspeakable"))


def test_arguments_that_cannot_be_read_are_told_and_the_tool_is_not_run(
    virtual_clock: VirtualClock,
) -> None:
    async def script(desk: Desk) -> None:
        desk.runner.call(p.ToolCall("a", "wait", {}, "they are no JSON: {sec"))

    desk = at_desk(virtual_clock, script)
    words = (
        "the arguments of wait cannot be read (they are no JSON: {sec): call it again with one JSON object"
    )
    assert desk.entries == [p.ToolResultInput("a", words, "wait", error=True)]
    assert desk.told == [("wait", "a", "refused")]


def test_unknown_tools_and_wrong_arguments_are_answered_too(virtual_clock: VirtualClock) -> None:
    async def script(desk: Desk) -> None:
        desk.call("a", "wether")
        desk.call("b", "wait", seconds="soon")
        await asyncio.sleep(0.1)

    desk = at_desk(virtual_clock, script)
    assert desk.entries[0].result == (
        "there is no tool wether: use one of wait, stubborn, search, book, report, fail, large"
    )
    assert desk.entries[1].result.startswith("wait: wrong arguments: seconds: ")
    assert [entry.error for entry in desk.entries] == [True, True]
    assert desk.told == [("wether", "a", "refused"), ("wait", "b", "error")]


def test_a_large_answer_is_cut_with_a_warning(virtual_clock: VirtualClock) -> None:
    async def script(desk: Desk) -> None:
        desk.call("a", "large", characters=5_000_000)
        await asyncio.sleep(0.1)

    desk = at_desk(virtual_clock, script)
    assert desk.entries[0].result == "x" * 1000 + "\n[cut here: there is more]"
    assert desk.warnings == ["the answer of large was cut at 1000 characters: raise its max_result"]


@pytest.mark.parametrize("background", [True, False])
def test_reports_reach_only_models_that_take_them(virtual_clock: VirtualClock, background: bool) -> None:
    async def script(desk: Desk) -> None:
        desk.call("a", "report", seconds=3)
        await asyncio.sleep(4)

    desk = at_desk(virtual_clock, script, background=background)
    reports = [
        p.ToolResultInput("a", f'{{"part":{n}}}', "report", will_continue=True, scheduling="when_idle")
        for n in range(3)
    ]
    scheduling = "when_idle" if background else None
    last = p.ToolResultInput("a", '{"parts":3}', "report", scheduling=scheduling)  # type: ignore[arg-type]
    assert desk.entries == [*(reports if background else []), last]


def test_too_many_at_once_are_refused(virtual_clock: VirtualClock) -> None:
    async def script(desk: Desk) -> None:
        for number in range(MAX_RUNNING + 1):
            desk.call(str(number), "wait", seconds=1)
        await asyncio.sleep(2)

    desk = at_desk(virtual_clock, script)
    assert Counter(outcome for _, _, outcome in desk.told) == {"ok": MAX_RUNNING, "refused": 1}


# --- whatever happens in whichever order ---


@dataclass(frozen=True)
class Model(p.Backend):
    """A model whose connections follow a script: pauses, events, and a loss after each but the last."""

    connections: Sequence[Sequence[float | p.BackendEvent]]
    losses: list[bool]
    received: list[p.BackendInput] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)

    @asynccontextmanager
    async def connect(self, conversation: p.BackendContext) -> AsyncIterator[p.BackendSession]:
        self.attempts.append(conversation.attempt)
        yield _ModelSession(self, conversation)


class _ModelSession(p.BackendSession):
    def __init__(self, model: Model, conversation: p.BackendContext) -> None:
        self._model = model
        self._emit = conversation.emit
        self._script = model.connections[min(conversation.attempt, len(model.connections) - 1)]
        self._last = conversation.attempt >= len(model.connections) - 1

    async def send(self, entry: p.BackendInput) -> None:
        await asyncio.sleep(0.01)
        if self._model.losses and self._model.losses.pop():
            raise BackendError("lost on the way", retryable=True)
        self._model.received.append(entry)

    async def read(self) -> None:
        for step in self._script:
            if isinstance(step, float):
                await asyncio.sleep(step)
            else:
                self._emit(step)
        if not self._last:
            raise BackendError("lost", retryable=True)
        await asyncio.Event().wait()


IDS = st.sampled_from([f"c{n}" for n in range(6)])
CALLS = st.one_of(
    st.builds(
        lambda call, name, seconds: p.ToolCall(call, name, {"seconds": seconds}),
        IDS,
        st.sampled_from(["wait", "stubborn", "search", "report", "nothing"]),
        st.sampled_from([0.0, 0.5, 1.0, 3.0, 30.0]),
    ),
    st.builds(
        lambda call, kind: p.ToolCall(call, "fail", {"kind": kind}),
        IDS,
        st.sampled_from(["told", "cancelled", "exit", "unspeakable", "key"]),
    ),
)
STEPS = st.one_of(CALLS, st.builds(p.ToolCallCancelled, IDS), st.sampled_from([0.0, 0.3, 1.0, 5.0]))


@settings(max_examples=60)
@given(
    connections=st.lists(st.lists(STEPS, max_size=8), min_size=1, max_size=3),
    losses=st.lists(st.booleans(), max_size=3),
)
def test_every_call_is_answered_exactly_once_and_a_cancelled_one_never(
    connections: list[list[float | p.BackendEvent]], losses: list[bool]
) -> None:
    log: list[tuple[str, Any]] = []

    async def main() -> tuple[Model, Desk]:
        model = Model(connections, losses)

        def put(entry: p.ToolResultInput) -> None:
            log.append(("answer", entry))
            link.put(entry)

        def emit(event: p.BackendEvent) -> None:
            if isinstance(event, p.ToolCall):
                log.append(("call", event.call))
                desk.runner.call(event)
            elif isinstance(event, p.ToolCallCancelled):
                log.append(("cancel", event.call))
                desk.runner.cancel(event.call, lost=event.lost)

        desk = Desk(*TOOLS, put=put)
        link = BackendLink(model, "call", emit, lambda seconds: None)
        running = asyncio.create_task(link.run())
        await asyncio.sleep(300)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await desk.runner.close()
        return model, desk

    model, desk = VirtualClock().run(main())
    final = Counter(
        entry.call
        for entry in model.received
        if isinstance(entry, p.ToolResultInput) and not entry.will_continue
    )
    answered: set[str] = set()
    taken_back: set[str] = set()
    called: set[str] = set()
    for what, value in log:
        if what == "call":
            called.add(value) if value not in taken_back else None
        elif what == "cancel":
            taken_back.add(value)
        else:
            assert value.call not in taken_back - answered, "a late answer"
            assert value.call not in answered, "a second answer"
            if not value.will_continue:
                answered.add(value.call)
    assert answered == called - (taken_back - answered)
    assert final == dict.fromkeys(answered, 1)
    assert sorted(call for _, call, _ in desk.told) == sorted(called)
