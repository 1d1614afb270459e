"""Another voice that goes on with a call over OpenAI's client: the voice of a session cannot be changed."""

from __future__ import annotations

from dataclasses import replace

from fishjam_agents_openai.emulator.realtime import Tool
from fishjam_agents_openai.realtime import Realtime

from fishjam_agents.backends import port as p
from fishjam_agents.backends.conversation import PastConversation
from fishjam_agents.backends.replacement import Replacement
from integrations.openai.tests.realtime_call import WEATHER
from integrations.openai.tests.test_realtime_continuity import Linked, run

BILLING = replace(WEATHER, name="invoices")


def test_another_voice_goes_on_in_a_session_that_knows_what_was_said_and_answers_the_tool() -> None:
    async def scenario(call: Linked) -> None:
        call.turn()
        await call.answered(1)
        call.turn()
        await call.until(lambda: call.of(p.ToolCall))
        other = Realtime(base_url=call.server.base_url, voice="cedar")
        call.link.replace(Replacement(other, "You are billing.", [BILLING], PastConversation()))
        call.link.put(p.ToolResultInput(call.of(p.ToolCall)[0].call, "handed over"))
        await call.answered(2)
        assert call.told()[:2] == ["user 1", "Reception here."]
        assert call.told()[-1] == "function_call_output handed over"
        (session,) = (event["session"] for event in call.server.connections[-1] if "session" in event)
        assert session["instructions"] == "You are billing."
        assert session["audio"]["output"]["voice"] == "cedar"
        assert [tool["name"] for tool in session["tools"]] == ["invoices"]
        assert not call.of(p.BackendFailure)
        assert not call.of(p.BackendWarning)
        assert not call.of(p.ToolCallCancelled)
        assert not call.outages

    run(scenario, [["Reception here."], [Tool("weather")], ["Billing here."]])
