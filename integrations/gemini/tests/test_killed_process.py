"""A process that talks with Gemini is killed in mid-reply, and another one resumes the vendor's session."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from fishjam_agents_gemini.emulator import GeminiEmulator, say

from fishjam_agents.audio.wav import read_wav
from fishjam_agents.server import EmbeddedServer
from tests.cli.programs import ROOT, Watch, bots, running, until

BOT = """
import json, os
from pathlib import Path
from fishjam_agents import AgentPipeline

class Bot(AgentPipeline):
    async def on_peer_joined(self, peer):
        with Path(__file__).with_name("joined.jsonl").open("a") as file:
            file.write(json.dumps([os.getpid(), self.continued]) + "\\n")
"""
CONFIG = """
agent: {pipeline: 'resumed_bot:Bot', backend: {type: gemini}}
rooms: every
workers: {processes: 2, max_loop_lag: null, max_cpu: null}
journal: journal.db
"""
REPLY = "One one one one. Two two two two. Three three three three. Four four four four."

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals"),
    pytest.mark.timeout(120),
]


def joined(folder: Path) -> list[tuple[int, bool]]:
    file = folder / "joined.jsonl"
    return [tuple(json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def test_another_process_resumes_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "resumed_bot.py").write_text(BOT)
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)

    async def scenario() -> None:
        async with GeminiEmulator() as emulator:
            for name, value in emulator.environment.items():
                monkeypatch.setenv(name, value)
            emulator.answers += [say(REPLY, 8.0), say("And so I go on.", 1.0)]
            async with EmbeddedServer() as server, running(config, server, tmp_path / "state") as program:
                await until(lambda: len(re.findall(r"process w\d has the id", program.logged)) == 2)
                watch = Watch(server)
                room = server.rooms.create()
                caller = await server.add_caller(room.id)
                await until(lambda: joined(tmp_path) and emulator.connections)
                caller.say(read_wav(ROOT / "audio_fixtures" / "alice_yes.wav"))
                first = await emulator.connection(0)
                await first.until_received("activityEnd")
                # The reply is given at once, and takes eight seconds to be heard.
                await asyncio.sleep(3.0)
                os.kill(joined(tmp_path)[0][0], signal.SIGKILL)
                begun = time.perf_counter()
                await until(lambda: len(joined(tmp_path)) == 2)
                print(f"rejoined after {time.perf_counter() - begun:.2f} s")
                second = await emulator.connection(1)
                await second.until_received("text")
                print(f"told of the gap after {time.perf_counter() - begun:.2f} s")
                assert bots(room)
                assert watch.most[room.id] == 1
            assert [continued for _, continued in joined(tmp_path)] == [False, True]
            assert second.resumed is not None
            told = [said.text for said in second.session.history if said.text]
            found = re.search(r'heard was "(.*)", not heard was "(.*)"\. Say the part', told[-1])
            assert found
            heard, unheard = found.groups()
            assert f"{heard} {unheard}" == REPLY or heard + unheard == REPLY
            # The resumed session was told of the gap, and of nothing that it knew already.
            assert len([text for text in told if text.startswith("[The line was lost")]) == 1

    asyncio.run(scenario())
