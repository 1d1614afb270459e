"""A conversation that another process began, told to backends that know of no such thing."""

from __future__ import annotations

import asyncio

from fishjam_agents.backends import port as p
from fishjam_agents.backends.conversation import BotLine, PastConversation, ToolLine, UserLine
from fishjam_agents.backends.fallback import Fallback
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.errors import BackendError
from fishjam_agents.testing import Scripted, Step, VirtualClock

PAST = PastConversation(
    (
        UserLine("Book seat seven", "ann"),
        ToolLine("c1~1", "book", {"seat": 7}),
        BotLine("I have", "booked it.", cut=True),
        BotLine("", "Not heard.", cut=True),
    ),
    handle="h",
    handle_of="Scripted",
)
WORDS = [
    "user: Book seat seven",
    "book was called: The outcome is unknown: the line was lost while it ran. It was not run again.",
    "you: I have [interrupted]",
]


def serve(clock: VirtualClock, backend: p.Backend, *entries: p.BackendInput, seconds: float = 5.0) -> None:
    async def scenario() -> None:
        link = BackendLink(
            backend, "call", lambda event: None, lambda outage: None, "Be brief.", conversation=PAST
        )
        running = asyncio.create_task(link.run())
        await link.connected.wait()
        for entry in entries:
            link.put(entry)
        await asyncio.sleep(seconds)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    clock.run(scenario())


def test_the_instructions_end_with_it_also_when_they_change(virtual_clock: VirtualClock) -> None:
    backend = Scripted([Step(p.UpdateInput)], p.Capabilities(text=True))
    serve(virtual_clock, backend, p.UpdateInput(instructions="Be kind."))
    (context,) = backend.connections
    assert context.instructions is not None
    head, *told = context.instructions.split("\n")
    assert head == "Be brief."
    assert told[-len(WORDS) :] == WORDS
    (update,) = [entry for entry in backend.entries if isinstance(entry, p.UpdateInput)]
    assert update.instructions == context.instructions.replace("Be brief.", "Be kind.")


def test_a_backend_that_tells_it_itself_keeps_its_instructions(virtual_clock: VirtualClock) -> None:
    backend = Scripted([], p.Capabilities(conversation=True))
    serve(virtual_clock, backend)
    (context,) = backend.connections
    assert (context.instructions, context.conversation) == ("Be brief.", PAST)


def test_every_backend_of_a_fallback_is_told_in_words(virtual_clock: VirtualClock) -> None:
    lost = BackendError("the key is rejected", failure="auth")
    first = Scripted([Step(None, [1.0, lost])], p.Capabilities(text=True, conversation=True))
    second = Scripted([], p.Capabilities(text=True))
    serve(virtual_clock, Fallback([first, second]))
    for backend in (first, second):
        (context,) = backend.connections
        assert context.conversation is None
        assert context.instructions is not None
        lines = context.instructions.split("\n")
        assert lines[0] == "Be brief."
        assert "user: Book seat seven" in lines
        assert "you: I have [broken off]" in lines
        assert any(line.startswith("[book was called: The outcome is unknown") for line in lines)
