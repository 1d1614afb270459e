"""A cascade that hears by a live session which goes wrong in every way: nothing that was said is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from fishjam_agents_openai import Transcription
from fishjam_agents_openai.emulator import Answer, Emulator
from fishjam_agents_openai.emulator.realtime import Close, RealtimeEmulator
from fishjam_agents_openai.live import LiveTranscription

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade, SpeechToText
from fishjam_agents.events import Turn
from tests.cascade.components import Answers, Speaks

DEADLINE = 25.0
BLOCK = np.full(1600, 3000, np.int16)


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Import what a first connection does: seconds on a busy machine, which no deadline here is about."""
    asyncio.run(LiveTranscription().load())


class Conversation:
    """A cascade that is told of turns, and what came of it."""

    def __init__(self, session: port.BackendSession, events: list[port.BackendEvent], llm: Answers) -> None:
        self._session = session
        self._events = events
        self.llm = llm

    async def begins(self, start: float) -> None:
        await self._session.send(port.TurnStartedInput("ann", start, start))

    async def says(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            await self._session.send(port.AudioInput("ann", BLOCK, 0.1, speech=True))

    async def pauses(self, at: float) -> None:
        await self._session.send(port.TurnPausedInput("ann", at))

    async def goes_on(self) -> None:
        await self._session.send(port.TurnResumedInput("ann"))

    async def ends(self, start: float, end: float) -> None:
        await self._session.send(port.TurnEndedInput(Turn("t", "ann", "mic", start, end)))

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self._events if isinstance(event, kind)]

    @property
    def partial(self) -> str:
        said = [event.text for event in self.of(port.UserTranscript)]
        return said[-1] if said else ""

    @property
    def finals(self) -> list[tuple[str, float]]:
        return [(event.text, event.start) for event in self.of(port.UserTranscript) if event.final]

    @property
    def asked(self) -> list[str]:
        return [messages[-1].text for messages in self.llm.asked]

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.of(port.BackendWarning)]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not holds():  # noqa: ASYNC110 - of many things
                await asyncio.sleep(0.005)


@asynccontextmanager
async def conversation(*stt: SpeechToText, **settings: Any) -> AsyncIterator[Conversation]:
    events: list[port.BackendEvent] = []
    llm = Answers([["Yes. "]])
    cascade = Cascade(list(stt), [llm], [Speaks()], **settings)
    async with cascade.connect(port.BackendContext("c", events.append)) as session:
        assert isinstance(session, port.BackendSession)
        yield Conversation(session, events, llm)


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(2 * DEADLINE):
            await work()
        assert len(asyncio.all_tasks()) == 1, [task.get_name() for task in asyncio.all_tasks()]

    asyncio.run(main())


def ears(server: RealtimeEmulator, **settings: Any) -> LiveTranscription:
    return LiveTranscription(base_url=server.base_url, **settings)


def test_a_turn_is_understood_when_it_ends_and_answered() -> None:
    async def work() -> None:
        async with RealtimeEmulator() as server, conversation(ears(server)) as talk:
            server.transcripts.append(["What is ", "a fish?"])
            await talk.begins(2.0)
            await talk.says(0.6)
            await talk.until(lambda: talk.partial == "What is a fish?")
            await talk.pauses(2.6)
            await talk.says(0.4)
            await talk.ends(2.0, 2.6)
            await talk.until(lambda: talk.asked == ["What is a fish?"])
            assert talk.finals == [("What is a fish?", 2.0)]

    run(work)


@pytest.mark.parametrize("cut", [Close(), Close(1011, "keepalive ping timeout"), Close(1000)])
def test_a_socket_that_closes_in_mid_word_loses_no_word(cut: Close) -> None:
    async def work() -> None:
        async with RealtimeEmulator() as server, conversation(ears(server)) as talk:
            server.transcripts.append(["What is "])
            await talk.begins(2.0)
            await talk.says(0.3)
            await talk.until(lambda: talk.partial == "What is")
            server.transcripts.append(["What is ", "a fish ", "of this size?"])
            await server.lines[0].close(cut)
            await talk.says(0.6)
            await talk.ends(2.0, 2.9)
            await talk.until(lambda: talk.asked == ["What is a fish of this size?"])
            assert talk.finals == [("What is a fish of this size?", 2.0)]
            # Once, and all of it: the connection that follows has the turn from its first sample.
            assert [line.seconds for line in server.transcribing[1:]] == [[pytest.approx(0.9, abs=0.01)]]
            (warning,) = talk.warnings
            assert warning.startswith("speech to text failed (the connection to OpenAI Realtime is lost")

    run(work)


def test_a_service_that_is_away_while_somebody_speaks_has_all_when_it_is_back() -> None:
    async def work() -> None:
        first = RealtimeEmulator()
        await first.start()
        server_port = int(first.base_url.rpartition(":")[2].partition("/")[0])
        async with conversation(ears(first)) as talk:
            first.transcripts += [["What is a fish?"], ["Tell "]]
            await talk.begins(2.0)
            await talk.says(0.5)
            await talk.pauses(2.5)
            await talk.until(lambda: talk.partial == "What is a fish?")
            await talk.goes_on()
            await talk.says(0.3)
            await talk.until(lambda: talk.partial.endswith("Tell"))
            first.lines[0].abort()
            await first.stop()
            await talk.says(0.3)
            await talk.until(lambda: talk.warnings != [])
            await asyncio.sleep(1.0)
            second = RealtimeEmulator()
            second.transcripts.append(["Tell ", "me."])
            await second.start(server_port)
            try:
                await talk.says(0.3)
                await talk.ends(2.0, 3.4)
                await talk.until(lambda: talk.asked == ["What is a fish? Tell me."])
                # What had been understood was not sent again.
                assert [line.seconds for line in second.transcribing] == [[pytest.approx(0.9, abs=0.01)]]
                assert len(talk.warnings) == 1
            finally:
                await second.stop()

    run(work)


def test_a_socket_that_stalls_is_answered_as_far_as_it_came_and_the_next_turn_has_another() -> None:
    async def work() -> None:
        async with (
            RealtimeEmulator() as server,
            conversation(ears(server, timeout=1.0), transcript_wait=0.3) as talk,
        ):
            server.transcripts.append(["What is ", "a fish?"])
            await talk.begins(2.0)
            await talk.says(0.6)
            await talk.until(lambda: talk.partial == "What is a fish?")
            server.lines[0].stall()
            await talk.ends(2.0, 2.6)
            await talk.until(lambda: talk.asked == ["What is a fish?"])
            assert any("not final 0.3 s after the end of the turn" in warning for warning in talk.warnings)
            # The same turn is asked about again, on a connection that answers.
            server.transcripts.append(["What is a fish? Please."])
            await talk.until(lambda: talk.finals == [("What is a fish? Please.", 2.0)])
            server.transcripts.append(["And a cat?"])
            await talk.begins(9.0)
            await talk.says(0.5)
            await talk.ends(9.0, 9.5)
            await talk.until(lambda: len(talk.asked) == 2)
            said = [message.text for message in talk.llm.asked[1] if message.role == "user"]
            assert said == ["What is a fish? Please.", "And a cat?"]

    run(work)


def test_a_turn_that_the_service_cannot_write_down_is_heard_by_the_part_that_stands_in() -> None:
    async def work() -> None:
        async with RealtimeEmulator(refuse=503) as server, Emulator() as other:
            other.transcripts.append(Answer(["What is a fish?"]))
            whole = Transcription(model="m", base_url=other.base_url)
            async with conversation(ears(server), whole) as talk:
                await talk.begins(2.0)
                await talk.says(0.6)
                await talk.ends(2.0, 2.6)
                await talk.until(lambda: talk.asked == ["What is a fish?"])
                assert [len(request.file) - 44 for request in other.requests] == [round(0.6 * 32000)]

    run(work)


def test_transcripts_out_of_order_and_after_their_turns_are_answered_in_order() -> None:
    async def work() -> None:
        async with RealtimeEmulator() as server, conversation(ears(server)) as talk:
            server.transcripts += [[0.6, "One."], ["Two."]]
            await talk.begins(2.0)
            await talk.says(0.3)
            await talk.ends(2.0, 2.3)
            await talk.until(lambda: bool(server.transcribing) and server.transcribing[0].seconds != [])
            await talk.begins(3.0)
            await talk.says(0.3)
            await talk.ends(3.0, 3.3)
            await talk.until(lambda: len(talk.finals) == 2)
            assert sorted(talk.finals) == [("One.", 2.0), ("Two.", 3.0)]
            await talk.until(lambda: bool(talk.llm.asked) and talk.llm.asked[-1][-1].text == "Two.")
            said = [message.text for message in talk.llm.asked[-1] if message.role == "user"]
            assert said == ["One.", "Two."]

    run(work)


@pytest.mark.parametrize("made_up", ["[BLANK_AUDIO]", "Thank you for watching!", "\u266a", "(upbeat music)"])
def test_what_recognisers_make_of_silence_and_music_is_never_answered(made_up: str) -> None:
    async def work() -> None:
        async with (
            RealtimeEmulator() as server,
            conversation(ears(server), preemptive=True) as talk,
        ):
            server.transcripts += [[made_up], ["What is a fish?"], [made_up]]
            await talk.begins(2.0)
            await talk.says(0.5)
            await talk.pauses(2.5)
            await talk.ends(2.0, 2.5)
            await talk.begins(5.0)
            await talk.says(0.5)
            await talk.pauses(5.5)
            await talk.until(lambda: talk.partial == "What is a fish?")
            await talk.goes_on()
            await talk.says(0.5)
            await talk.ends(5.0, 6.0)
            await talk.until(lambda: talk.finals != [])
            assert talk.finals == [("What is a fish?", 5.0)]
            await talk.until(lambda: talk.asked != [])
            assert set(talk.asked) == {"What is a fish?"}
            assert not any(made_up in event.text for event in talk.of(port.UserTranscript))

    run(work)
