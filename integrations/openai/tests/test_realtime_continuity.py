"""OpenAI Realtime over more than one connection: renewals, losses, and what the next one is told."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import pytest
from fishjam_agents_openai.emulator.realtime import Close, RealtimeEmulator, Tool
from fishjam_agents_openai.realtime import Realtime
from fishjam_agents_openai.realtime.history import History, HistoryItem

from fishjam_agents.backends import port as p
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.events import Heard
from integrations.openai.tests.realtime_call import LOUD, QUIET, TURN, WEATHER


class Linked:
    """The backend behind the pipeline's own link."""

    def __init__(self, server: RealtimeEmulator, turn_mode: Any, **settings: Any) -> None:
        self.server = server
        self.events: list[Any] = []
        self.outages: list[float] = []
        backend = Realtime(base_url=server.base_url, **settings)
        self.link = BackendLink(
            backend, "call", self.events.append, self.outages.append, "Be brief.", turn_mode=turn_mode
        )
        self.link.tools = [WEATHER]

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, holds: Callable[[], Any]) -> None:
        while not holds():  # noqa: ASYNC110 - of what comes over sockets
            await asyncio.sleep(0.005)

    def says(self, *frames: np.ndarray) -> None:
        for frame in frames:
            for start in range(0, len(frame), 480):
                self.link.put(p.AudioInput("ann", frame[start : start + 480], 0.02))

    def turn(self) -> None:
        self.link.put(p.TurnStartedInput("ann", 0.0))
        self.says(LOUD)
        self.link.put(TURN)

    async def answered(self, count: int) -> None:
        await self.until(lambda: len(self.of(p.ReplyAudioEnded)) >= count)

    async def connections(self, count: int) -> None:
        await self.until(lambda: len(self.server.open) == 1 and len(self.server.connections) >= count)

    def told(self, connection: int = -1) -> list[str]:
        """The conversation as a connection was told of it."""
        events = self.server.connections[connection]
        return [_words(event["item"]) for event in events if event["type"] == "conversation.item.create"]


def _words(item: dict[str, Any]) -> str:
    if item["type"] == "message":
        (content,) = item["content"]
        return content.get("text") or content["type"]
    return f"{item['type']} {item.get('arguments') or item.get('output')}"


def run(
    scenario: Callable[[Linked], Awaitable[None]],
    answers: Sequence[Sequence[Any]] = (),
    *,
    turn_mode: str = "local",
    **settings: Any,
) -> RealtimeEmulator:
    async def main() -> RealtimeEmulator:
        words = iter(range(1, 100))
        async with RealtimeEmulator(deque(answers), words=lambda _: f"user {next(words)}") as server:
            call = Linked(server, turn_mode, **settings)
            running = asyncio.create_task(call.link.run())
            try:
                await scenario(call)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
        return server

    return asyncio.run(asyncio.wait_for(main(), 25))


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the link take renewals that follow one another quickly."""
    monkeypatch.setattr("fishjam_agents.backends.link.REFRESH_INTERVAL", 0.0)


@pytest.mark.usefixtures("often")
def test_over_several_renewals_nothing_is_lost_or_said_twice() -> None:
    async def scenario(call: Linked) -> None:
        for number in range(1, 7):
            call.turn()
            await call.answered(number)
            await call.connections(number + 1)
        await call.until(lambda: len(call.told()) == 12)
        said = [words for number in range(1, 7) for words in (f"user {number}", f"Reply {number}.")]
        assert call.told() == said
        assert not call.of(p.BackendFailure)
        assert not call.of(p.BackendWarning)
        assert not call.outages

    server = run(scenario, [[f"Reply {number}."] for number in range(1, 7)], renew_after=0.2)
    commits = [event for event in server.received if event["type"] == "input_audio_buffer.commit"]
    asked = [event for event in server.received if event["type"] == "response.create"]
    assert len(commits) == len(asked) == 6
    assert sum(len(line.speaking.lengths) for line in server.lines) == 6


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("what", ["a turn", "a reply", "a tool"])
def test_a_renewal_waits_for_a_quiet_moment(what: str) -> None:
    async def scenario(call: Linked) -> None:
        await call.connections(1)
        if what == "a turn":
            call.link.put(p.TurnStartedInput("ann", 0.0))
        else:
            call.turn()
            await call.until(lambda: call.of(p.ToolCall if what == "a tool" else p.ReplyStarted))
        await asyncio.sleep(0.8)
        assert len(call.server.connections) == 1
        if what == "a turn":
            call.says(LOUD)
            call.link.put(TURN)
        elif what == "a tool":
            call.link.put(p.ToolResultInput(call.of(p.ToolCall)[0].call, "sun"))
        await call.answered(1)
        await call.connections(2)
        assert not call.of(p.BackendFailure)

    answers = {"a turn": [["Yes."]], "a reply": [["Well. ", 1.0]], "a tool": [[Tool("weather")], ["Sun."]]}
    run(scenario, answers[what], renew_after=0.2)


@pytest.mark.usefixtures("often")
def test_what_was_heard_of_a_reply_is_right_on_the_connection_after_it() -> None:
    async def scenario(call: Linked) -> None:
        call.link.put(p.TextInput("Tell me of fish."))
        await call.answered(1)
        call.link.put(p.TextInput("[Bob has come.]", note=True))
        await call.connections(2)
        await call.until(lambda: len(call.told()) == 3)
        # The room is still listening to what the connection before has given.
        call.link.put(p.InterruptInput(Heard("openai-1", 0.2, "Fish swim")))
        call.link.put(p.TextInput("And birds?"))
        await call.answered(2)
        told = ["Tell me of fish.", "Fish swim, all of them.", "[Bob has come.]"]
        assert call.told() == [*told, "Fish swim [interrupted]", "And birds?"]
        first, second = call.server.connections[-1][1]["item"], call.server.connections[-1][2]["item"]
        deleted, corrected = (
            event
            for event in call.server.connections[-1]
            if event["type"] == "conversation.item.delete" or "previous_item_id" in event
        )
        assert deleted["item_id"] == second["id"]
        assert corrected["previous_item_id"] == first["id"]
        assert not call.of(p.BackendWarning)

    run(scenario, [["Fish swim, all of them."], ["Birds fly."]], renew_after=0.3)


@pytest.mark.usefixtures("often")
def test_a_renewal_that_finds_no_quiet_moment_comes_in_the_middle_of_a_turn_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fishjam_agents_openai.realtime.session._LATEST", 0.3)

    async def scenario(call: Linked) -> None:
        await call.connections(1)
        call.link.put(p.TurnStartedInput("ann", 0.0))
        call.says(LOUD)
        await call.connections(2)
        call.says(LOUD[:4800])
        call.link.put(TURN)
        await call.answered(1)
        audio = [event["type"] for event in call.server.connections[-1]].count("input_audio_buffer.append")
        assert audio == 60
        assert not call.of(p.BackendFailure)

    run(scenario, [["Yes."]], renew_after=0.4)


@pytest.mark.usefixtures("often")
def test_a_session_that_has_reached_its_hour_is_followed_by_another() -> None:
    async def scenario(call: Linked) -> None:
        call.turn()
        await call.answered(1)
        error = {
            "type": "invalid_request_error",
            "code": "session_expired",
            "message": "60 minutes are over.",
        }
        await call.server.open[0].send_event("error", error=error)
        await call.connections(2)
        call.turn()
        await call.answered(2)
        assert not call.of(p.BackendFailure)
        assert call.told() == ["user 1", "One."]

    run(scenario, [["One."], ["Two."]])


def test_a_turn_in_the_middle_of_which_the_connection_is_lost_is_heard_whole() -> None:
    async def scenario(call: Linked) -> None:
        await call.connections(1)
        call.link.put(p.TurnStartedInput("ann", 0.0))
        call.says(LOUD)
        await call.until(lambda: len(call.server.connections[0]) == 51)
        call.server.open[0].abort()
        await call.until(lambda: call.of(p.BackendFailure))
        call.says(LOUD[:12000])
        call.link.put(TURN)
        await call.answered(1)
        appended = [event["type"] for event in call.server.connections[1]].count("input_audio_buffer.append")
        assert appended == 75

    run(scenario, [["Yes."]])


@pytest.mark.parametrize("before", ["it was understood", "it was answered"])
def test_a_turn_that_had_no_answer_is_answered_by_the_next_connection(before: str) -> None:
    async def scenario(call: Linked) -> None:
        call.turn()
        await call.until(lambda: call.of(p.BackendFailure))
        await call.answered(1)
        kinds = [event["type"] for event in call.server.connections[1]]
        assert kinds == ["session.update", "conversation.item.create", "response.create"]
        assert call.told() == ["input_audio" if before == "it was understood" else "user 1"]

    answers: list[list[Any]] = [[0.2, Close()], ["Yes."]]
    run(scenario, answers, transcription=None if before == "it was understood" else "gpt-live-transcribe")


def test_the_services_own_turns_go_on_where_the_connection_was_lost() -> None:
    async def scenario(call: Linked) -> None:
        await call.connections(1)
        call.says(QUIET, QUIET, LOUD, QUIET)
        await call.answered(1)
        call.says(QUIET, LOUD)
        await call.until(lambda: len(call.of(p.UserSpeech)) == 3)
        call.server.open[0].abort()
        await call.until(lambda: call.of(p.BackendFailure))
        call.says(QUIET)
        await call.answered(2)
        # The second that was spoken, and what was before it; not the quiet of long ago.
        appended = [event["type"] for event in call.server.connections[1]].count("input_audio_buffer.append")
        assert 100 <= appended <= 160
        assert call.told() == ["user 1", "One."]

    run(scenario, [["One."], ["Two."]], turn_mode="backend")


def test_a_tool_is_answered_on_the_connection_that_follows_and_the_call_is_told_there() -> None:
    async def scenario(call: Linked) -> None:
        call.turn()
        await call.until(lambda: call.of(p.ToolCall))
        call.server.open[0].abort()
        await call.connections(2)
        call.link.put(p.ToolResultInput(call.of(p.ToolCall)[0].call, "sun"))
        await call.answered(1)
        assert call.told() == ["user 1", 'function_call {"city": "Oslo"}', "function_call_output sun"]
        assert len(call.of(p.ToolCall)) == 1
        assert not call.of(p.BackendWarning)

    run(scenario, [[Tool("weather", '{"city": "Oslo"}')], ["Sun."]])


def test_pictures_are_shown_to_the_next_connection_too_the_latest_two() -> None:
    async def scenario(call: Linked) -> None:
        for number in range(3):
            call.link.put(p.ImageInput(bytes([number]), "image/jpeg"))
        await call.until(lambda: len(call.server.connections and call.told()) == 3)
        call.server.open[0].abort()
        await call.connections(2)
        await call.until(lambda: call.told() == ["input_image"] * 2)

    run(scenario)


def test_the_memory_of_a_long_call_is_bounded() -> None:
    history = History()
    for number in range(2000):
        history.add(HistoryItem("user", f"turn {number} " + "x" * 200))
        history.spoken(f"r{number}", "y" * 200)
        history.add(HistoryItem("image", "data:" + "z" * 1000))
        history.add(HistoryItem("user", audio=[np.zeros(24000, np.int16)]))
    told = list(history.retold(set()))
    assert sum(len(str(event)) for event in told) < 4_000_000
    sounds = [event for event in told if event["item"]["content"][0]["type"] == "input_audio"]
    images = [event for event in told if event["item"]["content"][0]["type"] == "input_image"]
    assert len(sounds) <= 15
    assert len(images) == 2
    assert len(history._lines) <= 400
