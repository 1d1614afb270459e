"""A key that is changed in its file while the program runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fishjam_agents_openai.emulator.realtime import RealtimeEmulator

from fishjam_agents.server import EmbeddedServer
from tests.cli.programs import bots, running, until

OLD, NEW = "key-of-yesterday", "key-of-today"


def test_calls_whose_key_was_refused_begin_when_the_file_has_another(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(OLD)

    async def scenario() -> None:
        async with RealtimeEmulator(key=NEW) as vendor, EmbeddedServer() as server:
            backend = (
                f"{{type: openai_realtime, model: m, base_url: '{vendor.base_url}', api_key_file: key, "
                "limits: {calls: 5}}"
            )
            config = tmp_path / "config.yaml"
            text = f"agent: {{backend: {backend}}}\nrooms: every\nlog: {{level: debug}}\n"
            await asyncio.to_thread(config.write_text, text)
            async with running(config, server, tmp_path) as program:
                await program.says("Ctrl-C ends the calls.")
                room = server.rooms.create()
                await server.add_caller(room.id)
                await until(lambda: "is not started again while its people stay" in program.logged)
                assert not vendor.open
                await asyncio.to_thread(key.write_text, NEW)
                await until(lambda: vendor.open and bots(room))
                assert "was read again: new calls go by it" in program.logged
                assert OLD not in program.logged
                assert NEW not in program.logged

    asyncio.run(scenario())
