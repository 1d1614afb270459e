"""One call over many connections: what was said is neither lost nor doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from fishjam_agents_gemini import Activity, Gemini, HistoryMessage, Transcription
from fishjam_agents_gemini.emulator import Connection, GeminiEmulator, Request, say, tone
from fishjam_agents_gemini.emulator.answers import speak

from fishjam_agents.backends import port as p
from integrations.gemini.tests.talk import heard, numbered, renewed, spoken, talking

Run = Callable[..., None]
WEATHER = p.ToolDeclaration("weather", "Tells the weather.", {"type": "object", "properties": {}})


pytestmark = pytest.mark.usefixtures("impatient")


def test_an_announced_end_is_nothing_that_anybody_notices(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking() as talk:
            talk.say(numbered(1))
            await talk.until(p.BackendUsage)
            first = await emulator.connection(0)
            await first.go_away(10)
            second = await renewed(emulator, 1)
            assert first.closed.is_set(), "the old connection is closed first"
            talk.say(numbered(2))
            await talk.until(p.BackendUsage, 2)
        assert second.resumed is not None
        assert heard(second.session) == spoken([numbered(1), numbered(2)])
        assert not talk.of(p.BackendFailure)
        assert not talk.of(p.BackendWarning)
        assert not talk.outages

    run(test)


def test_a_reply_is_finished_before_the_connection_is_left(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(say("a long reply", 4.0))
        async with talking() as talk:
            talk.say(numbered(1))
            await talk.until(p.ReplyAudio)
            await (await emulator.connection(0)).go_away(10)
            await renewed(emulator, 1)
        assert len(talk.reply_audio("gemini-1")) == 4 * 24000

    run(test)


def test_a_turn_that_outlasts_the_deadline_is_said_whole_to_the_next_connection(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking() as talk:
            talk.say(numbered(1))
            await talk.until(p.BackendUsage)
            talk.begin_turn()
            talk.audio(numbered(2)[:800])
            first = await emulator.connection(0)
            await first.until_received("activityStart", 2)
            await first.go_away(0.3)
            second = await renewed(emulator, 1)
            talk.audio(numbered(2)[800:])
            talk.end_turn()
            await talk.until(p.BackendUsage, 2)
        assert heard(second.session) == spoken([numbered(1), numbered(2)])
        assert second.names() == ["activityStart", "audio", "activityEnd"]
        assert not talk.of(p.BackendFailure)

    run(test)


def test_a_turn_cut_by_a_lost_connection_is_said_whole_to_the_next(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking() as talk:
            talk.say(numbered(1))
            await talk.until(p.BackendUsage)
            talk.begin_turn()
            talk.audio(numbered(2)[:800])
            first = await emulator.connection(0)
            await first.until_received("activityStart", 2)
            first.abort()
            talk.audio(numbered(2)[800:])
            talk.end_turn()
            await talk.until(p.BackendUsage, 2)
        assert heard(emulator.connections[-1].session) == spoken([numbered(1), numbered(2)])
        assert talk.of(p.BackendFailure)[0].failure == "network"

    run(test)


@pytest.mark.parametrize("calls", [False, True], ids=["spoken", "tool call"])
def test_a_turn_whose_answer_began_in_the_next_turn_is_not_said_again(run: Run, calls: bool) -> None:
    kept = asyncio.Event()

    async def late(connection: Connection, request: Request) -> None:
        await connection.until_received("activityStart", 2)
        if calls:
            await connection.call_tool("weather")
            await connection.send_handle()
        else:
            await speak(connection, tone(0.1), ["Lima."], pace=0)

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(late)
        backend = Gemini(activity=Activity(interrupts=False))
        async with talking(backend, tools=[WEATHER], keep_handle=lambda handle: kept.set()) as talk:
            talk.say(numbered(1))
            first = await emulator.connection(0)
            await first.until_received("activityEnd")
            talk.begin_turn()
            talk.audio(numbered(2)[:800])
            await talk.until(p.ToolCall if calls else p.ReplyAudio)
            if calls:
                await asyncio.wait_for(kept.wait(), 10)
            first.abort()
            second = await renewed(emulator, 1)
            talk.audio(numbered(2)[800:])
            talk.end_turn()
            await talk.until(p.BackendUsage)
        assert second.names() == ["activityStart", "audio", "activityEnd"]
        assert heard(second.session)[-1:] == spoken([numbered(2)])

    run(test)


@pytest.mark.parametrize(
    "refusal",
    [
        (1008, "BidiGenerateContent session not found"),
        (1008, "Requested entity was not found."),
        (1007, "Invalid session handle"),
        (1007, "Request contains an invalid argument."),
        (1011, "BidiGenerateContent session not found"),
    ],
)
def test_an_expired_handle_makes_a_new_session_that_is_told_what_was_said(
    run: Run, refusal: tuple[int, str]
) -> None:
    async def answer(connection: Connection, request: Request) -> None:
        await connection.send_transcription("input", "What is the capital of Peru?")
        await speak(connection, tone(0.1), ["Lima."], pace=0)
        await connection.finish_turn()

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(answer)
        emulator.unknown_handle = refusal
        begun = asyncio.get_running_loop().time()
        limits = p.VendorLimits(requests_per_minute=20)
        async with talking(Gemini(history=(HistoryMessage("user", "I like maps."),), limits=limits)) as talk:
            talk.say(numbered(1))
            await talk.until(p.BackendUsage)
            emulator.handles.expire()
            (await emulator.connection(0)).abort()
            talk.say(numbered(2))
            await talk.until(p.BackendUsage, 2)
            # Two at once, and one each 60 / 19 s: three were made.
            (account,) = p.Vendors.shared()
            assert account._next(asyncio.get_running_loop().time(), paced=False) > begun + 2 * 60 / 19 - 0.1
        second = emulator.connections[-1]
        assert second.resumed is None
        told = [(said.role, said.text) for said in second.session.history if said.text]
        assert told == [
            ("user", "I like maps."),
            ("user", "What is the capital of Peru?"),
            ("model", "Lima."),
        ]
        assert "could not be resumed" in talk.of(p.BackendWarning)[0].message
        assert len(talk.of(p.BackendFailure)) == 1, "of the connection that was cut"
        assert heard(second.session) == spoken([numbered(2)])

    run(test)


def test_a_session_that_is_gone_after_it_was_taken_up_is_not_taken_up_again(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking() as talk:
            talk.say(numbered(1))
            await talk.until(p.BackendUsage)
            (await emulator.connection(0)).abort()
            second = await renewed(emulator, 1)
            assert second.resumed is not None
            await second.close(1008, "BidiGenerateContent session not found")
            third = await renewed(emulator, 2)
            talk.say(numbered(2))
            await talk.until(p.BackendUsage, 2)
        assert third.resumed is None
        assert "sessionResumption" in third.setup

    run(test)


def test_a_key_that_is_refused_with_a_handle_ends_the_call(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking() as talk:
            talk.say(numbered(1))
            await talk.until(p.BackendUsage)
            emulator.refusing = (1008, "API key not valid. Please pass a valid API key.")
            (await emulator.connection(0)).abort()
            error = await talk.ended()
        assert error.failure == "auth"
        assert not talk.of(p.BackendWarning)

    run(test)


def test_a_session_at_which_the_service_fails_again_and_again_is_given_up_for_a_new_one(
    run: Run, impatient: None
) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking() as talk:
            talk.say(numbered(1))
            await talk.until(p.BackendUsage)
            emulator.refusals.extend([(1011, "Internal error encountered.")] * 2)
            (await emulator.connection(0)).abort()
            talk.say(numbered(2))
            await talk.until(p.BackendUsage, 2)
        assert emulator.connections[-1].resumed is None
        assert len(talk.of(p.BackendFailure)) == 2
        assert "could not be resumed" in talk.of(p.BackendWarning)[0].message
        assert heard(emulator.connections[-1].session) == spoken([numbered(2)])

    run(test)


def test_a_network_that_is_away_costs_no_session(run: Run, impatient: None) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking() as talk:
            talk.say(numbered(1))
            await talk.until(p.BackendUsage)
            emulator.refusals.extend(["abort"] * 3)
            (await emulator.connection(0)).abort()
            talk.say(numbered(2))
            await talk.until(p.BackendUsage, 2)
        assert emulator.connections[-1].resumed is not None
        assert heard(emulator.connections[-1].session) == spoken([numbered(1), numbered(2)])

    run(test)


def test_the_handle_that_follows_the_end_of_a_turn_is_waited_for(run: Run) -> None:
    async def answer(connection: Connection, request: Request) -> None:
        await connection.go_away(10)
        await speak(connection, tone(0.1), ["Lima."], pace=0)
        await connection.send({"serverContent": {"generationComplete": True}})
        await connection.send({"serverContent": {"turnComplete": True}})
        await asyncio.sleep(0.3)
        await connection.send_handle()

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(answer)
        async with talking() as talk:
            talk.say(numbered(1))
            await talk.until(p.ReplyAudioEnded)
            second = await renewed(emulator, 1)
        assert heard(second.session) == spoken([numbered(1)])

    run(test)


def test_history_is_announced_where_the_family_wants_it(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        backend = Gemini(
            "gemini-3.1-flash-live-preview",
            history=(HistoryMessage("user", "Hi."), HistoryMessage("model", "Ho.")),
        )
        async with talking(backend):
            connection = await emulator.connection(0)
            await connection.until_received("client_content")
        assert connection.setup["historyConfig"] == {"initial_history_in_client_content": True}
        (content,) = connection.of("client_content")
        assert [turn["parts"][0]["text"] for turn in content["turns"]] == ["Hi.", "Ho."]

    run(test, answer=_nothing)


async def _nothing(connection: Connection, request: Request) -> None:
    """The model waits."""


def test_without_resumption_and_words_the_loss_is_told(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        backend = Gemini(resumption=False, transcription=Transcription(False, False))
        async with talking(backend) as talk:
            talk.say(numbered(1))
            await talk.until(p.BackendUsage)
            (await emulator.connection(0)).abort()
            await renewed(emulator, 1)
            warning = await talk.until(p.BackendWarning)
        assert "has forgotten the conversation" in warning.message
        assert "sessionResumption" not in emulator.connections[0].setup

    run(test)


@pytest.mark.parametrize("model", ["gemini-3.8-live", "gemini-2.5-flash-native-audio"])
def test_new_instructions_reach_the_model_in_the_call(run: Run, model: str) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(Gemini(model), instructions="Be brief.") as talk:
            talk.say(numbered(1))
            await talk.until(p.BackendUsage)
            talk.put(p.UpdateInput("Be long.", [WEATHER]))
            if model == "gemini-3.8-live":
                connection = await emulator.connection(0)
                await connection.until_received("contextUpdate")
                (update,) = connection.of("contextUpdate")
                told = update["systemInstruction"]
                assert "weather" in str(update["tools"])
                assert len(emulator.connections) == 1
            else:
                connection = await renewed(emulator, 1)
                told = connection.setup["systemInstruction"]
                assert "weather" in str(connection.setup["tools"])
                assert connection.resumed
        assert told["parts"] == [{"text": "Be long."}]

    run(test)


def test_what_happens_while_it_is_away_reaches_the_next_connection_in_order(run: Run) -> None:
    """Sound, writing, a picture and the answer of a tool of the time in which there is no connection."""

    async def asks(connection: Connection, request: Request) -> None:
        await connection.call_tool("weather", call="call-1")
        await connection.send_handle()

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(asks)
        async with talking(tools=[p.ToolDeclaration("weather", "", {})]) as talk:
            talk.say(numbered(1))
            call = await talk.until(p.ToolCall)
            first = await emulator.connection(0)
            await asyncio.sleep(0.05)
            emulator.refusals.extend(["abort", 503])
            first.abort()
            await talk.until(p.BackendFailure)
            talk.put(p.ToolResultInput(call.call, "grey", "weather"))
            talk.put(p.ImageInput(b"\xff\xd8 a picture", "image/jpeg"))
            talk.say(numbered(2))
            talk.put(p.TextInput("and in Rome?"))
            second = await renewed(emulator, 1)
            async with asyncio.timeout(5):
                await second.until_received("text")
            await talk.until(p.BackendUsage)
        assert second.names() == [
            "tool_response",
            "video",
            "activityStart",
            "audio",
            "activityEnd",
            "text",
        ]
        assert b"".join(second.of("audio")) == spoken([numbered(2)])[0]
        assert len(talk.of(p.ToolCall)) == 1

    run(test)


def test_the_running_cost_goes_on_over_connections(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(Gemini(prices={"input_audio": 1e6, "output_audio": 1e6})) as talk:
            talk.say(numbered(1, 0.4))
            await talk.until(p.BackendUsage)
            (await emulator.connection(0)).abort()
            talk.say(numbered(2, 0.8))
            await talk.until(p.BackendUsage, 2)
        costs = [(usage.cost, usage.total_cost) for usage in talk.of(p.BackendUsage)]
        assert costs == [(20, 20), (40, 60)]

    run(test)
