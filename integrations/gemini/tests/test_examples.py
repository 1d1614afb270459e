"""The commands that the examples give for a machine without a key, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PAGES = {
    "gemini_assistant": "config.yaml",
    "gemini_vision": "config.yaml",
    "tools_and_mcp": "gemini.yaml",
}
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("GEMINI_", "GOOGLE_"))
}


def command(text: str) -> list[str]:
    """The command with `simulate` on a page, or in a file's comment."""
    plain = re.sub(r"\\\n", " ", re.sub(r"^#", " ", text, flags=re.MULTILINE))
    (line,) = re.findall(
        r"^ +(python -m fishjam_agents_gemini\.emulator .*simulate .*)$", plain, re.MULTILINE
    )
    return shlex.split(line)


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str
    events: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All three at once: each waits most of its time for somebody to finish speaking."""
    started = {}
    for name, config in PAGES.items():
        words = command((ROOT / "examples" / name / config).read_text())
        out = tmp_path_factory.mktemp("out") / name
        if "--out" in words:
            words[words.index("--out") + 1] = str(out)
        else:
            words += ["--out", str(out)]
        started[name] = subprocess.Popen(
            [sys.executable if word == "python" else word for word in words],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen[str]) -> Done:
    out, err = process.communicate(timeout=55)
    assert process.returncode == 0, out + err
    assert isinstance(process.args, list)
    folder = Path(str(process.args[process.args.index("--out") + 1]))
    events = json.loads((folder / "timeline.json").read_text())["events"]
    return Done(process.returncode, out, err, events)


def test_the_page_of_an_example_gives_the_command_of_its_file() -> None:
    for name, config in PAGES.items():
        folder = ROOT / "examples" / name
        assert command((folder / "README.md").read_text()) == command((folder / config).read_text())


def test_the_assistant_answers_a_recorded_caller(calls: dict[str, subprocess.Popen[str]]) -> None:
    done = finish(calls["gemini_assistant"])
    (ended,) = done.of("reply_ended")
    assert ended["heard"]["text"].startswith("You spoke for ")
    assert not [event for event in done.events if event["kind"] in ("error", "backend_warning", "outage")]


def test_the_bot_that_sees_is_shown_a_camera_and_looks_again(
    calls: dict[str, subprocess.Popen[str]],
) -> None:
    done = finish(calls["gemini_vision"])
    assert [event["tool"] for event in done.of("tool_called")] == ["look", "end_call"]
    assert re.search(r"I see \d+ picture", done.of("reply_ended")[0]["heard"]["text"])
    assert "scenario passed" in done.out


def test_the_shop_has_its_method_its_function_and_its_mcp_server_called(
    calls: dict[str, subprocess.Popen[str]],
) -> None:
    done = finish(calls["tools_and_mcp"])
    called = [(event["tool"], event["outcome"]) for event in done.of("tool_called")]
    assert called == [("order_status", "ok"), ("opening_hours", "ok"), ("stock", "ok"), ("end_call", "ok")]
    assert "gemini_scenario passed" in done.out
    told = [line for line in done.err.splitlines() if line.startswith("emulator: ")]
    assert told[:2] == [
        "emulator: the model calls order_status(number=7)",
        "emulator: order_status answered: on its way",
    ]
    assert len(told) == 8
    assert "tool order_status" in done.out, "whoever reads the output sees that tools were called"
