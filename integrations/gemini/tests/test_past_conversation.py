"""A call that another process had begun: the session is resumed, or a new one is told what was said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from fishjam_agents_gemini import Gemini
from fishjam_agents_gemini.emulator import GeminiEmulator, say

from fishjam_agents.backends import port as p
from fishjam_agents.backends.conversation import BotLine, PastConversation, ToolLine, UserLine
from integrations.gemini.tests.talk import numbered, talking

Run = Callable[..., None]
SAID = (UserLine("Hello"), BotLine("Good morning", "to you.", cut=True))

pytestmark = pytest.mark.usefixtures("impatient")


async def one_turn(emulator: GeminiEmulator) -> list[str]:
    """A process serves a turn and is lost; the handles it has kept."""
    handles: list[str] = []
    emulator.answers.append(say("Good morning to you.", 0.2))
    async with talking(keep_handle=handles.append) as talk:
        talk.say(numbered(1))
        async with asyncio.timeout(10):
            while not handles:  # noqa: ASYNC110 - comes over a socket
                await asyncio.sleep(0.01)
        await talk.until(p.BackendUsage)
    return handles


def test_the_session_is_resumed_where_it_knows_all_that_was_said(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        handle = (await one_turn(emulator))[-1]
        past = PastConversation(SAID, handle=handle, handle_of="Gemini", handle_age=3.0, handle_lines=2)
        emulator.answers.append(say("Welcome back.", 0.2))
        async with talking(conversation=past) as talk:
            talk.put(p.TextInput("[The line was lost.]"))
            await talk.until(p.ReplyTextDelta)
            second = await emulator.connection(1)
        assert second.resumed == handle
        # What it knew already is not told again.
        assert "[The line was lost.]" in [said.text for said in second.session.history]
        assert not [said for said in second.session.history if said.text == "Hello"]

    run(test)


@pytest.mark.parametrize(
    "past",
    [
        {"handle_lines": 1},
        {"handle_of": "Other"},
        {"handle_age": 7300.0},
        {"unworded": True},
    ],
    ids=["more was said since", "of another backend", "too old", "a turn without words"],
)
def test_a_new_session_is_told_what_was_said(run: Run, past: dict[str, object]) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        handle = (await one_turn(emulator))[-1]
        known: dict[str, object] = {
            "handle": handle,
            "handle_of": "Gemini",
            "handle_age": 3.0,
            "handle_lines": 2,
            **past,
        }
        conversation = PastConversation(SAID, **known)  # type: ignore[arg-type]
        async with talking(conversation=conversation) as talk:
            talk.put(p.TextInput("[The line was lost.]"))
            await talk.until(p.ReplyTextDelta)
            second = await emulator.connection(1)
        assert second.resumed is None
        told = [(said.role, said.text) for said in second.session.history if said.text]
        assert told[:3] == [
            ("user", "Hello"),
            ("model", "Good morning [interrupted]"),
            ("user", "[The line was lost.]"),
        ]

    run(test)


def test_a_handle_that_is_refused_costs_nothing_that_was_said(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        tool = ToolLine("c1~1", "book", {"seat": 7})
        past = PastConversation((*SAID, tool), handle="gone", handle_of="Gemini", handle_lines=3)
        async with talking(Gemini(), conversation=past) as talk:
            talk.put(p.TextInput("[The line was lost.]"))
            await talk.until(p.ReplyTextDelta)
        connection = emulator.connections[-1]
        told = [said.text for said in connection.session.history if said.text]
        assert told[:2] == ["Hello", "Good morning [interrupted]"]
        assert told[2].startswith("[book was called: The outcome is unknown")
        assert "could not be resumed" in talk.of(p.BackendWarning)[0].message

    run(test)
