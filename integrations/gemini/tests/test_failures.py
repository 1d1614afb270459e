"""What goes wrong with the service, as the kind of failure it is and a sentence that says what to do."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from fishjam_agents_gemini import Gemini
from fishjam_agents_gemini.emulator import Connection, GeminiEmulator, Request, parrot, tone
from fishjam_agents_gemini.emulator.answers import speak

from fishjam_agents.backends import port as p
from integrations.gemini.tests.talk import talking, voice

Run = Callable[..., None]


@pytest.mark.parametrize(
    ("refusal", "failure", "words"),
    [
        (401, "auth", "GEMINI_API_KEY"),
        (403, "auth", "GEMINI_API_KEY"),
        (404, "config", "base_url"),
        (400, "config", "gemini-3.8-live"),
        ((1008, "Your API key was reported as leaked. Use another."), "auth", "leaked"),
        ((1008, "API key not valid."), "auth", "make a new one"),
        ((1008, "models/x is not found for API version v1"), "config", "check model"),
        ((1008, "policy"), "auth", "access to the model"),
        ((1007, "Invalid value at setup.generation_config"), "config", "check the settings"),
        ((1007, "Cannot handle the request: invalid argument"), "config", "check the settings"),
        ((1011, "Your prepayment credits are depleted. Please go to AI Studio."), "quota", "add some"),
        ((1008, "Your prepayment credits are depleted."), "quota", "add some"),
    ],
)
def test_what_only_the_user_can_mend_ends_the_call_at_once(
    run: Run, refusal: object, failure: str, words: str
) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        emulator.refusals.append(refusal)  # type: ignore[arg-type]
        async with talking() as talk:
            error = await talk.ended()
        assert (error.failure, error.retryable) == (failure, False)
        assert words in str(error)
        assert str(error).count(": ") >= 2, "what happened: what to do"
        assert not talk.of(p.BackendFailure)
        assert emulator.upgrades == 1

    run(test)


@pytest.mark.parametrize(
    ("refusal", "failure"),
    [
        (429, "quota"),
        (503, "network"),
        ((1011, "You exceeded your current quota, please check your plan"), "quota"),
        ((1011, "Internal error encountered."), "network"),
        ((1013, "try again"), "network"),
        ("abort", "network"),
        ({"serverContent": {"turnComplete": True}}, "protocol"),
        ({"error": {"code": 500}}, "protocol"),
    ],
)
def test_what_may_pass_is_tried_again(run: Run, impatient: None, refusal: object, failure: str) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        emulator.refusals.append(refusal)  # type: ignore[arg-type]
        async with talking() as talk:
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded)
        (failed,) = talk.of(p.BackendFailure)
        assert (failed.failure, failed.retryable) == (failure, True)
        connection = emulator.connections[-1]
        assert connection.names() == ["activityStart", "audio", "activityEnd"]

    run(test)


def test_a_wrong_key_is_named_and_not_repeated(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        backend = Gemini(api_key="AIza-secret")
        async with talking(backend) as talk:
            error = await talk.ended()
        assert error.failure == "auth"
        assert "secret" not in str(error)
        assert "secret" not in repr(backend)

    run(test)


def test_a_service_that_never_answers_the_setup_is_given_up(run: Run, impatient: None) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        emulator.refusals.extend(["silence"] * 6)
        async with talking(Gemini(setup_timeout=0.05)) as talk:
            error = await talk.ended()
        assert error.failure == "network"
        assert "no answer to the setup within 0.05 s" in str(error)
        assert "given up after 6 attempts" in str(error)

    run(test)


def test_a_service_that_crashes_again_and_again_is_given_up_in_one_sentence(
    run: Run, impatient: None
) -> None:
    async def crash(connection: Connection, request: Request) -> None:
        await connection.close(1011, "Internal error encountered.")

    async def test(emulator: GeminiEmulator) -> None:
        async with talking() as talk:
            talk.say(voice(0.1))
            error = await talk.ended()
        assert "the service failed (" in str(error)
        assert str(error).endswith("(1011 Internal error encountered.): given up after 6 attempts")
        assert len(talk.of(p.BackendFailure)) == 5

    run(test, answer=crash)


def test_nobody_at_the_address_and_a_strange_certificate_are_told_apart(
    run: Run, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(Gemini(base_url="https://127.0.0.1:1")) as talk:
            error = await talk.ended()
        assert error.failure == "network"
        assert "cannot be reached" in str(error)
        monkeypatch.delenv("SSL_CERT_FILE")
        async with talking() as talk:
            error = await talk.ended()
        assert (error.failure, error.retryable) == ("config", False)
        assert "SSL_CERT_FILE" in str(error)

    run(test)


def test_a_setting_that_the_client_refuses_is_the_users_to_mend(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(Gemini(raw={"temperatur": 1})) as talk:
            error = await talk.ended()
        assert (error.failure, error.retryable) == ("config", False)
        assert "temperatur" in str(error)
        assert "check agent.backend" in str(error)

    run(test)


def test_frames_the_client_cannot_read_are_skipped(run: Run, impatient: None) -> None:
    async def noisy(connection: Connection, request: Request) -> None:
        await connection.send({"error": {"code": 1, "message": "something new"}})
        await connection.send({"somethingNew": {}})
        await connection.send_raw("not json")
        await connection.send_raw("[1, 2]")
        await connection.send_raw('"text"')
        await connection.send_raw("[" * 100_000)
        await connection.send({"goAway": {"timeLeft": "..."}})
        await connection.send({})
        await connection.send(
            {"serverContent": {"modelTurn": {"parts": [{"inlineData": {"data": "***", "mimeType": 3}}]}}}
        )
        await parrot(connection, request)

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(noisy)
        async with talking() as talk:
            talk.say(voice(0.2))
            await talk.until(p.ReplyAudioEnded)
        assert not talk.of(p.BackendFailure)
        assert talk.of(p.BackendWarning)
        assert len(talk.reply_audio("gemini-1")) == 4800

    run(test)


def test_nothing_but_such_frames_is_a_failure(run: Run, impatient: None) -> None:
    async def noise(connection: Connection, request: Request) -> None:
        for _ in range(50):
            await connection.send({"somethingNew": {}})

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(noise)
        async with talking() as talk:
            talk.say(voice(0.1))
            failed = await talk.until(p.BackendFailure)
            await talk.until(p.ReplyAudioEnded)
        assert failed.failure == "protocol"
        assert "update google-genai" in failed.message

    run(test)


@pytest.mark.parametrize(
    ("close", "failure"),
    [
        ((1000, ""), "network"),
        ((1001, ""), "network"),
        (None, "network"),
        ((1007, "Request contains an invalid argument."), "protocol"),
        ((1008, "Operation is not implemented, or supported, or enabled."), "protocol"),
        ((1009, "message too big"), "protocol"),
        ((1011, "Internal error encountered."), "network"),
        ((1011, "You exceeded your current quota."), "quota"),
        ((1011, "Deadline expired before operation could complete."), "network"),
    ],
)
def test_a_connection_that_ends_in_the_call_is_followed_by_one_that_is_told_the_turn(
    run: Run, impatient: None, close: tuple[int, str] | None, failure: str
) -> None:
    async def end(connection: Connection, request: Request) -> None:
        if close is None:
            connection.abort()
        else:
            await connection.close(*close)

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(end)
        async with talking() as talk:
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded)
        (failed,) = talk.of(p.BackendFailure)
        assert (failed.failure, failed.retryable) == (failure, True)
        assert failed.message.count(": ") >= 2, "what happened: what to do"
        assert emulator.connections[-1].names() == ["activityStart", "audio", "activityEnd"]

    run(test)


def test_credit_that_is_used_up_in_the_call_ends_it(run: Run) -> None:
    async def depleted(connection: Connection, request: Request) -> None:
        await connection.close(1011, "Your prepayment credits are depleted.")

    async def test(emulator: GeminiEmulator) -> None:
        async with talking() as talk:
            talk.say(voice(0.1))
            error = await talk.ended()
        assert (error.failure, error.retryable) == ("quota", False)

    run(test, answer=depleted)


def test_a_key_that_is_blocked_in_the_call_ends_it(run: Run) -> None:
    async def blocked(connection: Connection, request: Request) -> None:
        await connection.close(1008, "Your API key was reported as leaked. Please use another API key.")

    async def test(emulator: GeminiEmulator) -> None:
        async with talking() as talk:
            talk.say(voice(0.1))
            error = await talk.ended()
        assert (error.failure, error.retryable) == ("auth", False)
        assert len(emulator.connections) == 1

    run(test, answer=blocked)


def test_an_error_message_with_a_code_is_what_it_says(run: Run, impatient: None) -> None:
    async def limited(connection: Connection, request: Request) -> None:
        await connection.send({"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"})

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(limited)
        async with talking() as talk:
            talk.say(voice(0.1))
            failed = await talk.until(p.BackendFailure)
            await talk.until(p.ReplyAudioEnded)
        assert failed.failure == "quota"

    run(test)


def test_frames_over_a_mebibyte_arrive_and_those_over_sixteen_do_not(run: Run, impatient: None) -> None:
    async def large(connection: Connection, request: Request) -> None:
        await connection.send_audio(tone(40.0))
        await connection.finish_turn()

    async def too_large(connection: Connection, request: Request) -> None:
        data = base64.b64encode(bytes(17 * 2**20)).decode()
        await connection.send({"serverContent": {"modelTurn": {"parts": [{"text": data}]}}})

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.extend([large, too_large])
        async with talking() as talk:
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded)
            assert len(talk.reply_audio("gemini-1")) == 40 * 24000
            talk.say(voice(0.1))
            failed = await talk.until(p.BackendFailure)
            await talk.until(p.ReplyAudioEnded, 2)
        assert failed.retryable

    run(test)


async def _cut(connection: Connection, request: Request) -> None:
    await speak(connection, tone(0.2), ["half"], pace=0)
    connection.abort()


def test_a_reply_that_is_cut_off_ends(run: Run, impatient: None) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(_cut)
        async with talking() as talk:
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded)
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded, 2)
        assert [event.reply for event in talk.of(p.ReplyAudioEnded)] == ["gemini-1", "gemini-2"]
        assert len(talk.outages) == 1

    run(test)


# Google's client warns of a reason that it does not know, and passes it on.
@pytest.mark.filterwarnings("ignore:A_REASON_OF_TOMORROW")
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("RESPONSE_REJECTED", "refused (RESPONSE_REJECTED)"),
        ("MALFORMED_FUNCTION_CALL", "tool"),
        ("A_REASON_OF_TOMORROW", "A_REASON_OF_TOMORROW"),
    ],
)
def test_an_answer_that_the_model_refuses_to_give_is_told(
    run: Run, begun: bool, reason: str, words: str
) -> None:
    async def rejected(connection: Connection, request: Request) -> None:
        if begun:
            await speak(connection, tone(0.1), ["I"], pace=0)
        await connection.send({"serverContent": {"turnComplete": True, "turnCompleteReason": reason}})

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(rejected)
        async with talking() as talk:
            talk.say(voice(0.1))
            warning = await talk.until(p.BackendWarning)
            talk.say(voice(0.1))
            await talk.until(p.ReplyAudioEnded, 1 + begun)
        assert words in warning.message
        assert warning.message.count(": ") >= 1, "what happened: what to do"
        assert isinstance(warning, p.Unanswered) is not begun
        assert not talk.of(p.BackendFailure)

    run(test)


def test_a_model_that_needs_more_input_is_no_failure(run: Run) -> None:
    async def waits(connection: Connection, request: Request) -> None:
        await connection.finish_turn(turnCompleteReason="NEED_MORE_INPUT", waitingForInput=True)

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.append(waits)
        async with talking() as talk:
            talk.say(voice(0.1))
            await talk.until(p.BackendUsage)
        assert not talk.of(p.BackendWarning)

    run(test)
