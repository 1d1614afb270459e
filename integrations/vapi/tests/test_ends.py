"""How a call ends whose socket says little of it: a close without a status, and no message before."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from fishjam_agents_vapi import Vapi
from fishjam_agents_vapi.api import VapiApi
from fishjam_agents_vapi.emulator import VapiEmulator

from fishjam_agents.backends import port
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.errors import BackendError

KEY = "vapi-private-key-1234"
SECONDS = 0.05


async def linked(vapi: VapiEmulator, **settings: Any) -> tuple[list[Any], BackendError | None]:
    """A call behind the pipeline's own link until it is over: its events, and how it failed."""
    events: list[Any] = []
    backend = Vapi(assistant_id="a", api_key=KEY, url=vapi.url, **settings)
    link = BackendLink(backend, "call", events.append, lambda seconds: None)
    try:
        await link.run()
    except BackendError as error:
        return events, error
    return events, None


@pytest.mark.parametrize("close_with", [1000, 1001, 1005])
@pytest.mark.parametrize("status_updates", [False, True])
@pytest.mark.parametrize("on_lost", ["end", "new_call"])
def test_who_hangs_up_ends_the_call_and_begins_no_other(
    close_with: int, status_updates: bool, on_lost: str, emulate: Any
) -> None:
    async def scenario(vapi: Any) -> None:
        _, error = await linked(vapi, on_lost=on_lost)
        assert error is None
        assert len(vapi.calls) == 1
        assert {"type": "end-call"} not in vapi.call.received

    ends = (SECONDS, "customer-ended-call")
    emulate(scenario, end_after=ends, close_with=close_with, status_updates=status_updates)


@pytest.mark.parametrize("close_with", [1000, 1005])
def test_a_call_that_failed_says_so_when_it_is_asked(close_with: int, emulate: Any) -> None:
    async def scenario(vapi: Any) -> None:
        _, error = await linked(vapi, on_lost="new_call")
        assert error is not None
        assert (error.failure, len(vapi.calls)) == ("auth", 1)
        assert "pipeline-error-openai-401-unauthorized" in str(error)

    emulate(scenario, end_after=(SECONDS, "pipeline-error-openai-401-unauthorized"), close_with=close_with)


def test_a_status_that_follows_the_socket_is_waited_for(emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        async with line(vapi, on_lost="new_call") as call:
            vapi.behaviour.lagging = True
            await vapi.call.end("assistant-ended-call")
            await asyncio.sleep(0.4)
            assert not call.reading.done()
            vapi.behaviour.lagging = False
            with pytest.raises(port.ConversationEnded, match="assistant-ended-call"):
                await call.reading

    emulate(scenario)


@pytest.mark.parametrize("on_lost", ["end", "new_call"])
def test_a_call_that_goes_on_without_its_socket_is_lost(on_lost: str, emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        async with line(vapi, on_lost=on_lost) as call:
            vapi.behaviour.lagging = True
            await vapi.call.end("customer-ended-call")
            with pytest.raises(BackendError, match=r"was lost .code 1005.") as raised:
                await call.reading
        assert raised.value.retryable == (on_lost == "new_call")

    emulate(scenario)


def test_a_call_of_which_nothing_can_be_known_is_lost(
    emulate: Any, line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fishjam_agents_vapi.api.GOODBYE_DEADLINE", 0.1)

    async def scenario(vapi: Any) -> None:
        async with line(vapi) as call:
            vapi.behaviour.silent = True
            await vapi.call.end("customer-ended-call")
            with pytest.raises(BackendError, match="start the bot again"):
                await call.reading

    emulate(scenario)


def test_who_sends_learns_of_the_end_as_who_reads_does(emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        async with line(vapi) as call:
            await vapi.call.end("customer-ended-call")
            await call.session._socket.wait_closed()
            with pytest.raises(port.ConversationEnded, match="customer-ended-call"):
                await call.session.send(port.TextInput("Hello?"))

    emulate(scenario)


def test_the_last_words_of_a_call_that_ended_are_complete(emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        async with line(vapi) as call:
            await call.session.send(port.TextInput("Tell me more."))
            await call.until(lambda: call.of(port.ReplyAudio))
            await vapi.call.end("exceeded-max-duration")
            with pytest.raises(port.ConversationEnded):
                await call.reading
        assert len(call.of(port.ReplyAudioEnded)) == 1

    emulate(scenario)


@pytest.mark.parametrize("over", [True, False])
def test_ending_a_call_that_has_ended_is_no_trouble(
    over: bool, emulate: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Fishjam may be quicker than the bot; only a call that may go on is worth a warning."""

    async def scenario(vapi: Any) -> None:
        async with VapiApi(vapi.url, KEY) as api:
            call = await api.create(Vapi(assistant_id="a").body(16000))
            if over:
                await vapi.call.end("customer-ended-call")
            else:
                object.__setattr__(call, "control_url", f"{vapi.url}/nothing/there")
            await api.hang_up(call)

    caplog.set_level(logging.WARNING, "fishjam_agents_vapi")
    emulate(scenario)
    assert bool(caplog.records) is not over


@pytest.mark.parametrize("where", ["assistant", "assistant_overrides"])
def test_the_emulator_tells_of_the_status_only_who_asks(where: str, emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        asks = {where: {"clientMessages": ["status-update"], "model": {"provider": "openai"}}}
        settings = {"assistant_id": None if where == "assistant" else "a", **asks}
        async with line(vapi, **settings) as call:
            await call.until(lambda: call.vendor("status-update"))
        async with line(vapi) as call:
            await call.speak()
            await call.until(lambda: call.of(port.ReplyAudioEnded))
            assert not call.vendor("status-update")

    emulate(scenario)


def test_final_transcripts_alone_are_enough(emulate: Any, line: Any) -> None:
    async def scenario(vapi: Any) -> None:
        async with line(vapi) as call:
            await call.speak()
            await call.until(lambda: call.of(port.ReplyAudioEnded))
        assert [(e.text, e.final) for e in call.of(port.UserTranscript)] == [("turn 1", True)]
        assert "".join(event.text for event in call.of(port.ReplyTextDelta)) == "You said turn 1."

    emulate(scenario, finals_only=True, model_output=False)
