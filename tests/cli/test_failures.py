"""What `simulate` says of a backend that failed, and what it exits with."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from fishjam_agents import cli
from fishjam_agents.cli.failures import Failures, failures
from fishjam_agents.simulation import SimulationResult

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


def turn(at: float) -> dict[str, Any]:
    return {"at": at, "kind": "user_turn_ended", "reason": "silence"}


def replied(at: float) -> dict[str, Any]:
    return {"at": at, "kind": "reply_first_audio", "reply": f"r{at}"}


def failed(at: float, message: str, **more: Any) -> dict[str, Any]:
    told = {"kind": "backend_failure", "failure": "network", "retryable": True}
    return {"at": at, "message": message, **told, **more}


def lost(at: float) -> dict[str, Any]:
    return {"at": at, "kind": "backend_warning", "message": "no words: start it", "unanswered": "network"}


def back(at: float) -> dict[str, Any]:
    return {"at": at, "kind": "outage", "what": "backend", "seconds": 0.3}


def of(*events: dict[str, Any], causes: Mapping[str, str] = MappingProxyType({})) -> Failures:
    silence = np.zeros(0, np.int16)
    return failures(SimulationResult(20.0, silence, silence, {"events": list(events)}, 0.0, causes=causes))


def test_a_call_without_failures_says_nothing() -> None:
    assert of(turn(1), replied(2), turn(3)) == Failures()


def test_turns_that_a_failure_cost_are_counted_and_one_that_is_left_at_the_end_too() -> None:
    told = of(turn(1), lost(2), turn(3), replied(4), turn(5), lost(6), turn(7))
    assert told.unanswered
    assert told.lines == [
        "A reply was lost 2 times (network): no words: start it",
        "3 of 4 turns were not answered.",
    ]


def test_a_reply_of_which_nothing_was_heard_is_no_answer() -> None:
    begun = {"at": 2, "kind": "reply_started", "reply": "r2"}
    told = of(turn(1), begun, failed(3, "no route"))
    assert told.unanswered
    assert told.lines[-1] == "1 of 1 turn was not answered."


def test_each_of_several_backends_has_its_own_count_and_the_stand_in_its_due() -> None:
    gone = {"backend": "A", "fallback": "B"}
    told = of(
        failed(1, "no route", backend="A"),
        failed(2, "B stands in for A: no route", **gone),
        back(3),
        turn(4),
        replied(5),
        failed(6, "no luck", backend="B"),
        back(7),
        causes={"B stands in for A: no route": "no route"},
    )
    assert not told.unanswered
    assert told.lines == [
        "A failed 2 times (network): no route; B stood in",
        "B failed once (network): no luck",
        "All the same, 1 turn of 1 got an answer.",
    ]


def test_a_failure_just_before_the_end_left_nobody_without_an_answer() -> None:
    told = of(turn(1), replied(2), failed(9, "no route"))
    assert not told.unanswered
    assert "nobody was waiting for an answer" in told.lines[1]


def test_a_cascade_whose_server_is_down_is_no_success(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FISHJAM_ID", raising=False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        part = f'type: openai, model: m, base_url: "{address}?key=secret"'
        config = tmp_path / "config.yaml"
        config.write_text(
            f"agent: {{backend: {{type: cascade, stt: {{{part}}}, llm: {{{part}}}, "
            f"tts: {{{part}, voice: v}}}}}}\n"
            "log: {level: error}\n"
        )
        words = ["--caller", str(FIXTURES / "alice_yes.wav"), "--out", str(tmp_path / "out")]
        with pytest.raises(SystemExit) as exited:
            cli.main(["simulate", str(config), *words, "--seconds", "4"])
    printed = capsys.readouterr().out
    assert exited.value.code == 1
    assert "\nWhen the call ended, an answer was still waited for: " in printed
    assert f"the transcript from {address} cannot be had (All connection attempts failed): is the" in printed
    assert "\n1 of 1 turn was not answered.\n" in printed
    assert "secret" not in printed
