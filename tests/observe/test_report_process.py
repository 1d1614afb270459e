"""The report that a process of its own makes."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import numpy as np
import pytest

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.observe.report import process
from fishjam_agents.observe.report.page import render
from fishjam_agents.observe.report.process import render_apart

ROOM: Any = (9000 * np.sin(np.arange(32000) / 7)).astype(np.int16).reshape(-1, 2)
PIECES: list[Any] = [ROOM[:5000], ROOM[5000:5000], ROOM[5000:]]
CALL: dict[str, Any] = {
    "sample_rate": 16000,
    "timeline": {
        "version": 1,
        "duration": 1.0,
        "events": [{"at": 0.0, "kind": "reply_started", "reply": "half \ud83d of <b>"}],
    },
    "name": "Ada & co",
    "sound_limit": 1 << 20,
}


def test_it_is_the_page_that_this_process_would_make() -> None:
    page = asyncio.run(render_apart(room=PIECES, samples=len(ROOM), **CALL))
    assert page == render(room=ROOM, **CALL).encode("utf-8", "replace")
    assert b"data:audio/wav;base64," in page


def test_what_went_wrong_is_told_in_a_sentence() -> None:
    with pytest.raises(FishjamAgentsError, match=r"the report could not be made: .*KeyError: 'events'"):
        asyncio.run(render_apart(room=PIECES, samples=len(ROOM), **{**CALL, "timeline": {"duration": 1.0}}))


def test_no_process_is_left_where_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> list[int]:
        begun: list[Any] = []
        create = asyncio.create_subprocess_exec

        async def noted(*words: Any, **options: Any) -> Any:
            begun.append(await create(*words, **options))
            return begun[-1]

        monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await render_apart(room=PIECES, samples=len(ROOM), **CALL)
        return [one.returncode for one in begun]

    # It reads all, and answers nothing.
    monkeypatch.setattr(process, "_PROGRAM", "import sys, time; sys.stdin.buffer.read(); time.sleep(60)")
    (code,) = asyncio.run(scenario())
    assert code == -9 or sys.platform == "win32"


def test_one_that_ends_before_it_has_read_all_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_PROGRAM", "import os; os._exit(3)")
    long: Any = np.zeros((4_000_000, 2), np.int16)
    with pytest.raises(FishjamAgentsError, match="it was ended"):
        asyncio.run(render_apart(room=[long] * 4, samples=4 * len(long), **CALL))


def test_files_of_the_current_folder_are_no_modules_of_it(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('this is not json')\n")
    monkeypatch.chdir(tmp_path)
    assert os.getcwd() == str(tmp_path)
    assert asyncio.run(render_apart(room=PIECES, samples=len(ROOM), **CALL)).startswith(b"<!doctype html>")
