"""The bot of the recipe for OpenAI Realtime, in a call."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from fishjam_agents_openai.emulator.realtime import Failed, RealtimeEmulator, Tool
from fishjam_agents_openai.realtime import Realtime

from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.wav import load_speech
from fishjam_agents.backends import port
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.events import Event
from fishjam_agents.testing import MemoryRoom
from integrations.openai.tests.realtime_call import Call, run

FIXTURES = Path(__file__).parents[3] / "audio_fixtures"
README = (Path(__file__).parents[1] / "README.md").read_text()
TABLE = README.partition("### What you may see")[2].partition("\n## ")[0]
RECIPE = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)[0]


def test_the_clerk_of_the_recipe_takes_an_order_and_writes_it_down(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    names: dict[str, Any] = {}
    exec(compile(RECIPE, "README.md", "exec"), names)
    clerk = names["Clerk"]()
    seen: list[Event] = []
    clerk.observers.append(seen.append)

    async def until(kind: str) -> None:
        while kind not in [event.kind for event in seen]:  # noqa: ASYNC110 - of what comes over a socket
            await asyncio.sleep(0.02)

    async def order() -> RealtimeEmulator:
        answers = deque([[Tool("price", '{"fish": "trout"}')], ["Twelve euros."]])
        async with (
            RealtimeEmulator(answers, deque([['[{"fish": "trout"}]']])) as server,
            MemoryRoom(24000) as room,
        ):
            monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
            running = asyncio.create_task(
                clerk.run(room.session, room=room, input_format=AudioFormat(24000, 1))
            )
            await asyncio.sleep(0.5)
            await room.join("ann").speak(load_speech(FIXTURES / "alice_yes.wav", 24000))
            await until("reply_ended")
            room.leave("ann")
            printed = ""
            while not printed:
                await asyncio.sleep(0.02)
                printed = capsys.readouterr().out
            clerk.stop()
            await running
        assert printed == '[{"fish": "trout"}]\n'
        return server

    server = asyncio.run(asyncio.wait_for(order(), 30))
    assert "12 euros" in str(server.received)


def test_each_message_of_the_table_is_one_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    promised = re.findall(r"^\| `([^`]+)` \|", TABLE, re.MULTILINE)
    assert len(promised) >= 7
    given: list[str] = []

    async def nothing(call: Call) -> None:
        raise AssertionError("there should be no session")

    async def ends(call: Call) -> None:
        await call.turn()
        await call.until(port.BackendWarning)
        given.extend(event.message for event in call.of(port.BackendWarning))
        call.server.lines[0].stall()
        await call.turn()
        await call.reader

    for emulator, settings in (
        *(({"refuse": status}, {}) for status in (401, 404, 429)),
        ({"beta": True}, {}),
        ({"mute": True}, {"timeout": 0.3}),
        ({"stumbles": 1}, {}),
    ):
        with pytest.raises(FishjamAgentsError) as caught:
            run(nothing, emulator=emulator, **settings)
        given.append(str(caught.value))
    with pytest.raises(FishjamAgentsError) as caught:
        run(ends, [[Failed("rate_limit_exceeded")]], answer_timeout=0.3)
    given.append(str(caught.value))
    with pytest.raises(FishjamAgentsError) as caught:
        Realtime().check()
    given.append(str(caught.value))
    assert [text for text in promised if not any(text in message for message in given)] == []
