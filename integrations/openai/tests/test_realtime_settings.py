"""OpenAI Realtime: settings, addresses, keys, and what a call costs."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fishjam_agents_openai.access import as_backend_errors
from fishjam_agents_openai.realtime import Realtime
from fishjam_agents_openai.realtime.usage import amounts_of, cost_of, transcription_of

from fishjam_agents.backends import port as p
from fishjam_agents.errors import BackendError, ConfigError
from integrations.openai.tests.realtime_call import Call, run
from tests.fishjam.test_secrecy import redirecting, thief

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": " "}, "model must be the name"),
        ({"speed": 2.0}, "speed must be between 0.25 and 1.5, not 2"),
        ({"max_output_tokens": 5000}, "max_output_tokens must be between 1 and 4096"),
        ({"renew_after": 4000.0}, "renew_after must be positive and less than 3600"),
        ({"answer_timeout": 0.0}, "must be positive"),
        ({"prices": {"input_video": 1.0}}, "prices knows no input_video"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Realtime(**settings)


@pytest.mark.parametrize(
    "line", ["noise_reduction: close", "reasoning: extreme", "detection: {eagerness: now}"]
)
def test_a_word_that_is_none_of_the_choices_is_refused_with_its_line(line: str, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"agent:\n  backend:\n    type: openai_realtime\n    api_key: k\n    {line}\n")
    done = check(config)
    assert done.returncode == 2
    assert ":5: " in done.stdout + done.stderr


def test_all_that_is_set_is_sent_and_nothing_else() -> None:
    session = Realtime(
        speed=1.2,
        language="en",
        keywords=("Fishjam",),
        noise_reduction="far_field",
        reasoning="low",
        max_output_tokens=300,
        raw={"truncation": "disabled"},
    ).session("Be brief.", [], local=True)
    pcm = {"type": "audio/pcm", "rate": 24000}
    transcription = {"model": "gpt-live-transcribe", "language": "en", "keywords": ["Fishjam"]}
    noise = {"type": "far_field"}
    assert session == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": pcm,
                "turn_detection": None,
                "transcription": transcription,
                "noise_reduction": noise,
            },
            "output": {"format": pcm, "speed": 1.2},
        },
        "tools": [],
        "instructions": "Be brief.",
        "reasoning": {"effort": "low"},
        "max_output_tokens": 300,
        "truncation": "disabled",
    }
    bare = Realtime(transcription=None).session(None, [], local=True)
    assert bare["audio"]["input"] == {"format": pcm, "turn_detection": None}


def test_azure_is_given_its_own_header_and_no_other_key() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyAudioEnded)

    server = run(
        scenario,
        emulator={"key": "azure-key"},
        model="my-deployment",
        headers={"api-key": "azure-key"},
        query={"tenant": "7"},
    )
    assert server.headers[0]["api-key"] == "azure-key"
    assert "authorization" not in server.headers[0]
    assert "openai-beta" not in server.headers[0]
    assert server.queries == [{"model": ["my-deployment"], "tenant": ["7"]}]


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyAudioEnded)

    run(scenario)


def test_usage_is_told_by_modality_with_what_was_cached_and_what_it_cost() -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        words, reply = await call.until(p.BackendUsage), await call.until(p.BackendUsage, 2)
        assert words.amounts == {"transcription_seconds": 1.0}
        assert reply.amounts == {
            "input_text": 10,
            "cached_text": 10,
            "input_audio": 40,
            "cached_audio": 40,
            "output_text": 10,
            "output_audio": 20,
        }
        assert words.cost == pytest.approx(0.001)
        assert reply.cost == pytest.approx((40 * 32 + 40 * 0.4 + 20 * 64) / 1e6)
        assert reply.total_cost == pytest.approx(words.cost + reply.cost)

    prices = {
        "input_audio": 32.0,
        "cached_audio": 0.4,
        "output_audio": 64.0,
        "transcription_seconds": 0.001,
    }
    run(scenario, prices=prices)


def test_without_details_there_are_only_sums() -> None:
    usage = {
        "input_tokens": 100,
        "output_tokens": 30,
        "input_token_details": {"cached_tokens": 40},
        "output_token_details": None,
    }
    amounts = amounts_of(usage)
    assert amounts == {"input": 60, "cached": 40, "output": 30}
    assert cost_of(amounts, {"input_text": 1e6, "cached_text": 1e5, "output_text": 2e6}) == 124
    assert amounts_of({}) == {}
    assert cost_of(amounts, {}) is None
    tokens = {"type": "tokens", "input_tokens": 14, "output_tokens": 5}
    assert transcription_of(tokens) == {"transcription_input": 14, "transcription_output": 5}


def check(config: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fishjam_agents", "check", str(config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, cwd=ROOT)


def test_only_the_detectors_copy_is_resampled(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("agent:\n  backend: {type: openai_realtime, api_key: k}\n")
    lines = dict(line.split(maxsplit=1) for line in check(config).stdout.splitlines())
    assert lines["hears"] == (
        "room 24000 Hz mono -> voice detection 16000 Hz (through a resampler of its own) -> realtime 24000 Hz"
    )
    assert lines["speaks"] == "realtime 24000 Hz -> track 24000 Hz -> Fishjam"


def test_a_program_that_logs_everything_logs_no_key(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(call: Call) -> None:
        await call.turn()
        await call.until(p.ReplyAudioEnded)

    caplog.set_level(logging.DEBUG)
    # The emulator is OpenAI's side.
    logging.getLogger("websockets.server").setLevel(logging.WARNING)
    server = run(scenario, [["Hello."]], api_key="sk-sesame-4711", query={"api-key": "sesame-query"})
    assert server.headers[0]["authorization"] == "Bearer sk-sesame-4711"
    assert "sesame" not in caplog.text
    assert "sesame" not in repr(Realtime(api_key="sk-sesame", raw={"secret": "sesame"}))


@pytest.mark.parametrize("name", ["ä..", "a" * 70 + ".example", "127.0.0.1:99999", ""])
def test_an_address_without_a_host_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        Realtime(base_url=f"http://{name}/v1", api_key="k").check()


def test_a_key_follows_no_redirect() -> None:
    async def scenario() -> None:
        async with thief() as (elsewhere, told), redirecting(elsewhere) as url:
            settings = Realtime(base_url=url, api_key="sk-none-of-yours", headers={"api-key": "sk-azure"})
            context = p.BackendContext("c", lambda event: None)
            with pytest.raises(BackendError, match="redirects to"):
                async with settings.connect(context):
                    pass
            with pytest.raises(BackendError, match="302"), as_backend_errors("speech"):
                async with settings.client() as client:
                    await client.models.list(**settings.besides)
        assert told == []

    asyncio.run(scenario())
