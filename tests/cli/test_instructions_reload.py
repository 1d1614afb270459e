"""Instructions in a file of their own that change while the program runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fishjam_agents.cli.reload import Reloader
from fishjam_agents.config import Config, load_config


def test_new_calls_go_by_the_instructions_that_the_file_has_now(tmp_path: Path) -> None:
    (tmp_path / "desk.md").write_text("You answer for a shop.")
    (tmp_path / "config.yaml").write_text(
        "agent: {backend: {type: parrot}, instructions_file: desk.md}\nfishjam: {id: local}\n"
    )
    config = load_config(tmp_path / "config.yaml")
    assert config.agent.instructions == "You answer for a shop."

    async def scenario() -> str | None:
        taken: asyncio.Queue[Config] = asyncio.Queue()
        reloader = Reloader(config, lambda read: None, lambda read, made: taken.put_nowait(read))
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(reloader.run())
            # It looks at the files when it begins.
            await asyncio.sleep(0.1)
            (tmp_path / "desk.md").write_text("You answer for two shops.")
            async with asyncio.timeout(60):
                read = await taken.get()
            watching.cancel()
        return read.agent.instructions

    assert asyncio.run(scenario()) == "You answer for two shops."
