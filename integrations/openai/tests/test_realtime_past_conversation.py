"""A call that another process had begun: its conversation is rebuilt from items."""

from __future__ import annotations

import asyncio
import json
from collections import deque

from fishjam_agents_openai.emulator.realtime import RealtimeEmulator
from fishjam_agents_openai.realtime import Realtime

from fishjam_agents.backends import port as p
from fishjam_agents.backends.conversation import BotLine, PastConversation, ToolLine, UserLine
from fishjam_agents.backends.link import BackendLink

PAST = PastConversation(
    (
        UserLine("Book seat seven", "ann"),
        ToolLine("call_abcdefghijklmnopqrstuvwxyz~1", "book", {"seat": 7}, "booked"),
        BotLine("It is", "booked for you.", cut=True),
        UserLine("And the weather?", "ann"),
        ToolLine("call_2~1", "weather", {}),
        BotLine("", "Not heard at all.", cut=True),
    )
)


def test_the_service_is_told_what_was_heard_and_done() -> None:
    async def main() -> RealtimeEmulator:
        events: list[p.BackendEvent] = []
        async with RealtimeEmulator(deque([["I am back."]])) as server:
            link = BackendLink(
                Realtime(base_url=server.base_url),
                "call",
                events.append,
                lambda seconds: None,
                "Be brief.",
                conversation=PAST,
            )
            running = asyncio.create_task(link.run())
            link.put(p.TextInput("[The line was lost.]"))
            async with asyncio.timeout(20):
                while not any(isinstance(event, p.ReplyAudioEnded) for event in events):  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return server

    server = asyncio.run(main())
    items = [event["item"] for event in server.received if event["type"] == "conversation.item.create"]
    booked, weather = items[1]["call_id"], items[5]["call_id"]
    assert [
        item["content"][0]["text"] if item["type"] == "message" else (item["type"], item["call_id"])
        for item in items
    ] == [
        "Book seat seven",
        ("function_call", booked),
        ("function_call_output", booked),
        "It is [interrupted]",
        "And the weather?",
        ("function_call", weather),
        ("function_call_output", weather),
        "[The line was lost.]",
    ]
    assert json.loads(items[1]["arguments"]) == {"seat": 7}
    assert items[2]["output"] == "booked"
    assert items[6]["output"].startswith("The outcome is unknown")
    # The service takes ids of at most 32 characters (API reference, conversation.item.create).
    assert all(len(call) <= 32 for call in (booked, weather))
    (session,) = [event for event in server.received if event["type"] == "session.update"]
    assert session["session"]["instructions"] == "Be brief."
