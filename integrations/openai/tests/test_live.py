"""Words while they are spoken: the real client against the emulated session that only transcribes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from fishjam_agents_openai.emulator.realtime import Close, Raw, RealtimeEmulator, ServerError
from fishjam_agents_openai.emulator.transcription import NotWritten
from fishjam_agents_openai.live import LiveTranscription

from fishjam_agents.backends.cascade import LLMUsage, Speech, StreamingSpeechToText, Transcript
from fishjam_agents.errors import BackendError, SettingError

DEADLINE = 50.0
BLOCK = np.full(1600, 3000, np.int16)
KEY = "sk-of-the-ears"


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Import what a first connection does: seconds on a busy machine, which no deadline here is about."""
    asyncio.run(LiveTranscription().load())


@asynccontextmanager
async def ears(server: RealtimeEmulator, **settings: Any) -> AsyncIterator[StreamingSpeechToText]:
    async with asyncio.timeout(DEADLINE), server:
        part = LiveTranscription(base_url=server.base_url, api_key=KEY, **settings)
        async with part.connect() as connected:
            yield connected


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not holds():  # noqa: ASYNC110 - of many things
            await asyncio.sleep(0.005)


class Turn:
    """A turn that is heard bit by bit, and what is understood of it."""

    def __init__(self, part: StreamingSpeechToText) -> None:
        self.speech = Speech("ann")
        self.pieces: list[Any] = []
        self.task = asyncio.create_task(self._hear(part))

    async def _hear(self, part: StreamingSpeechToText) -> None:
        async for piece in part.hear(self.speech):
            self.pieces.append(piece)

    def says(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.speech.append(BLOCK)

    @property
    def transcripts(self) -> list[Transcript]:
        return [piece for piece in self.pieces if isinstance(piece, Transcript)]

    @property
    def text(self) -> str:
        return self.transcripts[-1].text if self.transcripts else ""

    async def final(self) -> str:
        self.speech.end()
        await self.task
        assert self.transcripts[-1].final
        return self.text


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await work()
        assert len(asyncio.all_tasks()) == 1, [task.get_name() for task in asyncio.all_tasks()]

    asyncio.run(main())


def test_words_come_while_they_are_spoken() -> None:
    async def work() -> None:
        async with ears(server := RealtimeEmulator(key=KEY)) as part:
            server.transcripts.append(["What ", "is ", "a fish?"])
            turn = Turn(part)
            turn.says(0.3)
            await until(lambda: turn.text == "What")
            turn.says(0.3)
            await until(lambda: turn.text == "What is")
            assert not turn.transcripts[-1].final
            turn.says(0.3)
            assert await turn.final() == "What is a fish?"
            (cost,) = [piece for piece in turn.pieces if isinstance(piece, LLMUsage)]
            assert cost.amounts == {"seconds": pytest.approx(0.9, abs=0.01)}
            (line,) = server.transcribing
            assert server.queries == [{"intent": ["transcription"]}]
            assert line.session["audio"]["input"]["turn_detection"] is None

    run(work)


def test_at_a_pause_all_is_understood_and_the_end_has_nothing_left_to_send() -> None:
    async def work() -> None:
        async with ears(server := RealtimeEmulator()) as part:
            server.transcripts.append(["What is ", "a fish?"])
            turn = Turn(part)
            turn.says(1.0)
            turn.speech.pause(0.8)
            await until(lambda: bool(turn.transcripts) and turn.transcripts[-1].stable)
            assert (turn.text, turn.transcripts[-1].end) == ("What is a fish?", 0.8)
            turn.says(0.4)
            assert await turn.final() == "What is a fish?"
            (line,) = server.transcribing
            assert line.seconds == [pytest.approx(1.0, abs=0.01)]

    run(work)


def test_who_goes_on_after_a_pause_has_said_all_of_it() -> None:
    async def work() -> None:
        async with ears(server := RealtimeEmulator()) as part:
            server.transcripts += [["What is a fish?"], ["Tell me."]]
            turn = Turn(part)
            turn.says(0.5)
            turn.speech.pause(0.5)
            await until(lambda: turn.text == "What is a fish?")
            turn.says(0.3)
            turn.speech.resume()
            turn.says(0.3)
            assert await turn.final() == "What is a fish? Tell me."
            assert server.transcribing[0].seconds == [
                pytest.approx(0.5, abs=0.01),
                pytest.approx(0.6, abs=0.01),
            ]

    run(work)


def test_a_call_has_one_connection_and_the_late_words_of_a_turn_are_its_own() -> None:
    async def work() -> None:
        async with ears(server := RealtimeEmulator()) as part:
            server.transcripts += [[0.5, "One."], ["Two."]]
            first = Turn(part)
            first.says(0.3)
            first.speech.end()
            await until(lambda: bool(server.lines) and server.transcribing[0].seconds != [])
            second = Turn(part)
            second.says(0.3)
            assert await second.final() == "Two."
            assert not first.task.done()
            assert await first.final() == "One."
            assert len(server.lines) == 1

    run(work)


def test_a_connection_cut_in_mid_word_costs_no_word_and_nothing_understood_is_sent_again() -> None:
    async def work() -> None:
        async with ears(server := RealtimeEmulator()) as part:
            server.transcripts += [["What is a fish?"], ["Tell "]]
            speech = Speech("ann")
            turn = Turn(part)
            turn.speech = speech
            await asyncio.sleep(0)
            turn.says(0.5)
            speech.pause(0.5)
            await until(lambda: turn.text == "What is a fish?")
            speech.resume()
            turn.says(0.3)
            await until(lambda: turn.text.endswith("Tell"))
            server.lines[0].abort()
            with pytest.raises(BackendError, match="is lost") as error:
                await turn.task
            assert (error.value.failure, error.value.retryable) == ("network", True)
            server.transcripts.append(["Tell ", "me."])
            again = Turn(part)
            again.speech = speech
            await asyncio.sleep(0)
            again.says(0.3)
            assert await again.final() == "What is a fish? Tell me."
            assert [line.seconds for line in server.transcribing] == [
                [pytest.approx(0.5, abs=0.01)],
                [pytest.approx(0.6, abs=0.01)],
            ]

    run(work)


def test_a_connection_is_made_anew_before_anybody_speaks() -> None:
    async def work() -> None:
        async with ears(server := RealtimeEmulator()) as part:
            await until(lambda: len(server.open) == 1)
            server.lines[0].abort()
            await until(lambda: len(server.lines) == 2 and len(server.open) == 1)
            turn = Turn(part)
            turn.says(0.3)
            assert await turn.final() == "I heard you."
            assert len(server.lines) == 2

    run(work)


def test_a_connection_is_renewed_while_somebody_speaks_and_loses_nothing() -> None:
    async def work() -> None:
        async with ears(server := RealtimeEmulator(), renew_after=0.5) as part:
            server.transcripts.append(["What ", "is a fish?"])
            turn = Turn(part)
            turn.says(0.3)
            await until(lambda: len(server.open) >= 2 and turn.text == "What")
            turn.says(0.3)
            assert await turn.final() == "What is a fish?"
            assert server.transcribing[0].seconds == [pytest.approx(0.6, abs=0.01)]
            # The one that was left is gone.
            await until(lambda: not server.lines[0].open)

    run(work)


def test_a_session_that_has_reached_its_hour_is_followed_by_another() -> None:
    async def work() -> None:
        async with ears(server := RealtimeEmulator()) as part:
            await until(lambda: len(server.open) == 1)
            expired = {"type": "invalid_request_error", "code": "session_expired", "message": "an hour"}
            await server.lines[0].raw(Raw({"type": "error", "error": expired}))
            await until(lambda: len(server.lines) == 2)
            turn = Turn(part)
            turn.says(0.3)
            assert await turn.final() == "I heard you."

    run(work)


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (NotWritten("no speech"), "failed at the server (no speech): try again"),
        (ServerError(), "The server had an error while processing your request"),
        (Close(), "is lost"),
        (Close(1011, "keepalive ping timeout"), "is lost (keepalive ping timeout)"),
    ],
)
def test_a_segment_that_fails_is_told_in_one_sentence_and_asked_again(trouble: Any, told: str) -> None:
    async def work() -> None:
        async with ears(server := RealtimeEmulator()) as part:
            server.transcripts += [[trouble], ["What is a fish?"]]
            turn = Turn(part)
            turn.says(0.4)
            with pytest.raises(BackendError) as error:
                await turn.final()
            assert told in str(error.value)
            assert (error.value.retryable, "\n" in str(error.value)) == (True, False)
            again = Turn(part)
            again.says(0.4)
            assert await again.final() == "What is a fish?"

    run(work)


def test_a_service_that_is_silent_after_the_turn_is_given_up_and_the_next_has_a_new_connection() -> None:
    async def work() -> None:
        async with ears(server := RealtimeEmulator(), timeout=0.5) as part:
            turn = Turn(part)
            turn.says(0.3)
            await until(lambda: turn.text != "")
            server.lines[0].stall()
            with pytest.raises(BackendError, match="did not come in time: try again"):
                await turn.final()
            again = Turn(part)
            again.says(0.3)
            assert await again.final() == "I heard you."
            assert len(server.lines) == 2

    run(work)


def test_a_sound_that_is_taken_back_is_cleared_and_says_nothing_in_the_next_turn() -> None:
    async def work() -> None:
        async with ears(server := RealtimeEmulator()) as part:
            server.transcripts += [["Mhm. "], ["Wait!"]]
            sound = Turn(part)
            sound.says(0.3)
            await until(lambda: sound.text == "Mhm.")
            sound.task.cancel()
            await asyncio.gather(sound.task, return_exceptions=True)
            turn = Turn(part)
            turn.says(0.3)
            assert await turn.final() == "Wait!"
            assert server.transcribing[0].withdrawn == 1

    run(work)


def test_a_turn_that_is_asked_about_again_is_sent_when_the_one_that_goes_on_pauses() -> None:
    async def work() -> None:
        async with ears(server := RealtimeEmulator()) as part:
            server.transcripts += [["Now"], ["Before."], ["and then."]]
            goes_on = Turn(part)
            goes_on.says(0.3)
            await until(lambda: goes_on.text == "Now")
            again = Turn(part)
            again.says(0.3)
            again.speech.end()
            await asyncio.sleep(0.05)
            goes_on.speech.pause(0.3)
            await again.task
            assert again.text == "Before."
            goes_on.speech.resume()
            goes_on.says(0.3)
            assert await goes_on.final() == "Now and then."

    run(work)


def test_events_that_nobody_knows_are_passed_over() -> None:
    async def work() -> None:
        async with ears(server := RealtimeEmulator()) as part:
            strange = [
                Raw("no json"),
                Raw("[]"),
                Raw({"type": "something.new", "x": [1]}),
                Raw({"type": "conversation.item.input_audio_transcription.delta", "item_id": 7, "delta": []}),
                Raw({"type": "conversation.item.input_audio_transcription.segment", "item_id": "item_1"}),
                Raw({"type": "conversation.item.input_audio_transcription.completed", "item_id": None}),
                Raw({"type": "input_audio_buffer.committed"}),
            ]
            server.transcripts.append([*strange, "Yes."])
            turn = Turn(part)
            turn.says(0.3)
            assert await turn.final() == "Yes."

    run(work)


@pytest.mark.parametrize(
    ("server", "kind", "told"),
    [
        (RealtimeEmulator(key="another"), "auth", "the key is not accepted"),
        (RealtimeEmulator(key="another", key_refused="close"), "auth", "check the key"),
        (RealtimeEmulator(transcribers=frozenset({"m"})), "config", "check the model"),
        (RealtimeEmulator(refuse=404), "config", "check model and base_url"),
        (RealtimeEmulator(refuse=429), "quota", "see the limits"),
        (RealtimeEmulator(refuse=503), "network", "try again"),
        (RealtimeEmulator(beta=True), "config", "check the settings"),
    ],
)
def test_a_refusal_has_its_kind_and_one_sentence(server: RealtimeEmulator, kind: str, told: str) -> None:
    async def work() -> None:
        async with ears(server) as part:
            turn = Turn(part)
            turn.says(0.3)
            with pytest.raises(BackendError, match=told) as error:
                await turn.final()
            assert error.value.failure == kind
            assert KEY not in str(error.value)

    run(work)


def test_a_server_of_the_old_beta_is_spoken_to_in_its_form() -> None:
    async def work() -> None:
        async with ears(
            server := RealtimeEmulator(beta=True), beta=True, model="whisper", language="en"
        ) as part:
            server.transcripts.append(["Good ", "morning."])
            turn = Turn(part)
            turn.says(0.5)
            assert await turn.final() == "Good morning."
            assert server.transcribing[0].session == {
                "input_audio_format": "pcm16",
                "input_audio_transcription": {"model": "whisper", "language": "en"},
                "turn_detection": None,
            }
            assert server.headers[0]["openai-beta"] == "realtime=v1"

    run(work)


def test_what_is_set_is_asked_for() -> None:
    part = LiveTranscription(
        keywords=("Fishjam",),
        languages=("en", "pl"),
        delay="low",
        noise_reduction="far_field",
        raw={"include": []},
    )
    assert part.session() == {
        "type": "transcription",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": {
                    "model": "gpt-live-transcribe",
                    "languages": ["en", "pl"],
                    "keywords": ["Fishjam"],
                    "delay": "low",
                },
                "turn_detection": None,
                "noise_reduction": {"type": "far_field"},
            }
        },
        "include": [],
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": " "},
        {"renew_after": 3600.0},
        {"keepalive": 0.0},
        {"language": "en", "languages": ("pl",)},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        LiveTranscription(**wrong)
