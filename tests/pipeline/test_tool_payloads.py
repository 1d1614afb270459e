"""Tool calls as spans in the event stream, and what of their arguments and results is shown."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fishjam_agents import AgentPipeline, tool
from fishjam_agents.backends import port as p
from fishjam_agents.config import describe, load_config, pipeline_factory
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.observe.log import EventLog
from fishjam_agents.observe.replay.recorder import MemoryRecorder
from fishjam_agents.observe.report import page as report
from fishjam_agents.observe.timeline import Timeline, render
from fishjam_agents.testing import MemoryCall, Scripted, Step

Converse = Callable[..., MemoryCall]
CARD = "4111 1111 1111 1111"


class Cashier(AgentPipeline):
    @tool
    async def charge(self, card: str) -> dict[str, str]:
        """Charge a card."""
        return {"charged": card}

    @tool
    async def refuse(self) -> None:
        """Refuse."""
        raise ValueError(CARD)


def cashier(kind: type[Cashier] = Cashier, shown: bool = True, *calls: p.BackendEvent) -> Cashier:
    bot = kind()
    bot.tool_payloads = shown
    made = calls or (p.ToolCall("c1", "charge", {"card": CARD}),)
    bot.backend = Scripted(
        [Step(None, [0.5, *made]), *[Step(p.ToolResultInput)] * len(made)], p.Capabilities(tools=True)
    )
    return bot


async def one(call: MemoryCall) -> None:
    await call.wait_for("tool_called")


def spans(call: MemoryCall) -> list[dict[str, Any]]:
    return [event for event in call.events if event["kind"] in ("tool_started", "tool_called")]


def test_a_call_of_a_tool_is_a_span_without_what_was_said(converse: Converse) -> None:
    started, called = spans(converse(cashier(Cashier, False), one))
    assert started == {"at": pytest.approx(0.5), "kind": "tool_started", "tool": "charge", "call": "c1"}
    assert (called["call"], called["outcome"]) == ("c1", "ok")
    assert called["at"] - called["duration"] == pytest.approx(started["at"], abs=0.001)
    assert CARD not in json.dumps([started, called])


def test_calls_that_are_not_run_have_no_beginning(converse: Converse) -> None:
    call = converse(cashier(Cashier, True, p.ToolCall("c1", "unknown", {"card": CARD})), one)
    (called,) = spans(call)
    assert (called["kind"], called["outcome"]) == ("tool_called", "refused")
    assert "there is no tool unknown" in called["result"]


def test_arguments_and_results_are_shown_where_that_is_wanted(converse: Converse) -> None:
    started, called = spans(converse(cashier(), one))
    assert started["arguments"] == f'{{"card":"{CARD}"}}'
    assert called["result"] == f'{{"charged":"{CARD}"}}'


def test_what_a_failed_tool_raised_is_shown_no_more_than_to_the_model(converse: Converse) -> None:
    call = converse(cashier(Cashier, True, p.ToolCall("c1", "refuse")), one)
    _, called = spans(call)
    assert called["outcome"] == "error"
    assert CARD not in json.dumps(call.events)


def test_a_bot_redacts_what_is_shown_everywhere(converse: Converse, caplog: pytest.LogCaptureFixture) -> None:
    class Discreet(Cashier):
        def redact(self, text: str) -> str:
            return text.replace(CARD, "[card]")

    bot = cashier(Discreet)
    bot.recorder = recorder = MemoryRecorder()
    timeline = Timeline()
    bot.observers += [timeline, EventLog("c", "r")]
    with caplog.at_level(logging.DEBUG, "fishjam_agents.call"):
        call = converse(bot, one)
    started, called = spans(call)
    assert started["arguments"] == '{"card":"[card]"}'
    assert called["result"] == '{"charged":"[card]"}'
    document = timeline.document(1.0)
    page = report.render(room=np.zeros((16000, 2), np.int16), sample_rate=16000, timeline=document, name="c")
    for told in (caplog.text, json.dumps(document), render(document), page):
        assert "[card]" in told
        assert CARD not in told
    assert CARD not in recorder.text()


def test_at_the_level_info_the_log_holds_none_of_it(
    converse: Converse, caplog: pytest.LogCaptureFixture
) -> None:
    bot = cashier()
    bot.observers.append(EventLog("c", "r"))
    with caplog.at_level(logging.INFO):
        converse(bot, one)
    assert "the model called charge" in caplog.text
    assert CARD not in caplog.text


class Raising(Cashier):
    def redact(self, text: str) -> str:
        raise KeyError(text)


class Forgetful(Cashier):
    def redact(self, text: str) -> str:
        text.replace(CARD, "")
        return None  # type: ignore[return-value]


class Leaving(Cashier):
    def redact(self, text: str) -> str:
        raise SystemExit(text)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Raising, "KeyError, raised at"),
        (Forgetful, "it returned a NoneType, no text, at"),
        (Leaving, "SystemExit, raised at"),
    ],
)
def test_a_redaction_that_fails_shows_nothing_and_is_the_bots(
    converse: Converse, caplog: pytest.LogCaptureFixture, kind: type[Cashier], why: str
) -> None:
    with caplog.at_level(logging.INFO):
        call = converse(cashier(kind), one)
    started, called = spans(call)
    assert called["outcome"] == "ok"
    assert "arguments" not in started
    assert "result" not in called
    errors = call.of("error")
    assert [error.where for error in errors] == ["redact", "redact"]
    assert why in errors[0].message
    assert "test_tool_payloads.py:" in errors[0].message
    assert CARD not in json.dumps(call.events)
    assert CARD not in caplog.text
    assert "redact failed" in caplog.text


def test_long_payloads_are_cut_after_they_are_redacted(converse: Converse) -> None:
    class Discreet(Cashier):
        def redact(self, text: str) -> str:
            return text.replace("secret" * 100, "[secret]")

    arguments = {"card": "x" * 1900 + "secret" * 100 + "y" * 5000}
    call = converse(cashier(Discreet, True, p.ToolCall("c1", "charge", arguments)), one)
    started, _ = spans(call)
    assert len(started["arguments"]) == 2000
    assert "[secret]" in started["arguments"]
    assert started["arguments"].endswith("…")
    assert "secretsecret" not in started["arguments"]


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("async def redact(self, text): return text", "is called and not awaited"),
        ("def redact(self): return ''", "write `def redact(self, text)`"),
    ],
)
def test_a_redaction_that_cannot_be_called_is_told_before_any_call(method: str, message: str) -> None:
    space: dict[str, Any] = {}
    exec(f"class Wrong(Cashier):\n    {method}\n", {"Cashier": Cashier}, space)
    with pytest.raises(FishjamAgentsError, match=r"Wrong\.redact") as raised:
        cashier(space["Wrong"]).verify()
    assert message in str(raised.value)


def test_it_is_a_setting_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("agent: {backend: {type: parrot}}\nobserve: {tool_payloads: true}\n")
    config = load_config(path, {})
    bot = pipeline_factory(config)()
    assert bot.tool_payloads is True
    assert any("arguments and results" in line for line in describe(config, bot))
    path.write_text("agent: {backend: {type: parrot}}\n")
    assert pipeline_factory(load_config(path, {}))().tool_payloads is False
