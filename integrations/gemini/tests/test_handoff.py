"""Another voice, or model, that goes on with a call over Google's client."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fishjam_agents_gemini import Gemini
from fishjam_agents_gemini.emulator import Connection, GeminiEmulator, Request, say

from fishjam_agents.backends import port as p
from fishjam_agents.backends.conversation import PastConversation
from fishjam_agents.backends.replacement import Replacement
from integrations.gemini.tests.talk import talking, voice

Run = Callable[..., None]


@pytest.mark.parametrize("after", ["gemini-3.8-live", "gemini-2.5-flash-native-audio"])
def test_another_bot_goes_on_in_a_session_that_knows_what_was_said(run: Run, after: str) -> None:
    async def calls(connection: Connection, request: Request) -> None:
        await connection.call_tool("to_billing", {}, "c1")

    async def test(emulator: GeminiEmulator) -> None:
        emulator.answers.extend([say("reception here"), calls, say("billing here")])
        async with talking(Gemini("gemini-3.8-live"), instructions="You are reception.") as talk:
            talk.say(voice(0.2))
            await talk.until(p.ReplyAudioEnded)
            talk.say(voice(0.2))
            await talk.until(p.ToolCall)
            other = Gemini(after, voice="Puck")
            talk.replace(Replacement(other, "You are billing.", (), PastConversation()))
            talk.put(p.ToolResultInput("c1", "handed over"))
            reply = (await talk.until(p.ReplyAudioEnded, 2)).reply
            assert talk.reply_text(reply).split() == ["billing", "here"]
            second = await emulator.connection(1)
        assert "You are billing." in str(second.setup)
        assert "Puck" in str(second.setup)
        # It is resumed where the model is the same, and told what was said where it is not.
        assert bool(second.setup.get("sessionResumption", {}).get("handle")) is (after == "gemini-3.8-live")
        assert not talk.of(p.BackendFailure)

    run(test)
