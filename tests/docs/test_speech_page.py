"""docs/speech.md is run here, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fishjam_agents.config import describe, load_config, pipeline_factory

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "speech.md").read_text()

DRIVER = """

def converse(virtual_clock, bot, script, **settings):
    seen = []
    for name, value in settings.items():
        setattr(bot, name, value)
    bot.observers.append(seen.append)

    async def call():
        async with MemoryRoom() as room, asyncio.TaskGroup() as tasks:
            running = tasks.create_task(bot.run(room.session, room=room))
            ann = room.join("ann")
            await asyncio.sleep(0.5)
            await script(bot, ann)
            bot.stop()
            await running

    virtual_clock.run(call())
    return [event.kind for event in seen]


WORDS = load_speech("audio_fixtures/alice_long.wav", 16000)


def test_the_guide_says_its_notice_and_learns_what_was_heard(virtual_clock, capsys):
    async def script(bot, ann):
        await asyncio.sleep(4)
        await ann.speak(WORDS)
        await asyncio.sleep(5)

    converse(virtual_clock, Guide(), script)
    printed = capsys.readouterr().out
    assert "3.1 of 3.1 s were heard" in printed
    assert "they only heard: 'Welcome" in printed
    assert "play-1 was played" in printed
    assert "play-2 was cut short" in printed


def test_the_discreet_bot_falls_silent_and_hears_nobody(virtual_clock):
    async def script(bot, ann):
        await ann.speak(WORDS)
        await asyncio.sleep(2)
        assert bot.muted
        assert not bot.listening
        await ann.speak(WORDS)
        await asyncio.sleep(5)

    kinds = converse(virtual_clock, Discreet(), script)
    assert kinds.count("user_turn_ended") == 1
    assert "reply_first_audio" not in kinds


def test_the_receptionist_opens_the_call_in_the_models_words(virtual_clock, capsys):
    from fishjam_agents.backends import port
    from fishjam_agents.testing import Scripted, Step

    def asked(item):
        assert (item.text, item.instructs) == ("Greet Speaker 1 and ask how you can help.", True)

    sound = port.ReplyAudio("say-1", WORDS[:64000])
    opening = [port.ReplyStarted("say-1"), sound, port.ReplyAudioEnded("say-1")]
    offers = port.Capabilities(output_rate=16000, respond=True, cancel=True)

    async def script(bot, ann):
        await ann.speak(WORDS)
        await asyncio.sleep(3)

    backend = Scripted([Step(port.TextInput, opening, asked), *[Step(object)] * 4], offers)
    converse(virtual_clock, Receptionist(), script, backend=backend)
    assert "Speaker 1 spoke first" in capsys.readouterr().out
    assert not backend.surprises


def test_the_radio_answers_what_was_pressed_for(virtual_clock):
    from fishjam_agents import TurnSettings

    async def script(bot, ann):
        for release in ("up", "cancel"):
            await bot.button("ann", "down")
            await ann.speak(WORDS)
            await bot.button("ann", release)
            await asyncio.sleep(8)

    kinds = converse(virtual_clock, Radio(), script, turns=TurnSettings(mode="push_to_talk"))
    assert kinds.count("user_turn_ended") == 2
    assert kinds.count("reply_ended") == 1
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_bots_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "test_page.py").write_text("\n\n".join(blocks("python")) + DRIVER)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path / "test_page.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert "5 passed" in result.stdout


@pytest.mark.parametrize(
    ("number", "shows"),
    [
        (0, "greeting  3.1 s"),
        (1, "greeting  'Hello, this is the reception.'"),
        (2, "greeting  the model's own words: 'Greet the caller"),
        (3, "mode push_to_talk"),
        (4, "white.wav at -45 dBFS"),
        (5, "asked 2 x"),
    ],
)
def test_the_settings_of_the_page_are_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, shows: str
) -> None:
    monkeypatch.delenv("FISHJAM_ID", raising=False)
    (tmp_path / "audio_fixtures").symlink_to(ROOT / "audio_fixtures")
    (tmp_path / "config.yaml").write_text(blocks("yaml")[number])
    (tmp_path / "reception.md").write_text("You answer for a shop.")
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    assert len(blocks("yaml")) == 6
    config = load_config(tmp_path / "config.yaml")
    assert shows in "\n".join(describe(config, pipeline_factory(config)()))


def test_the_defaults_of_the_page_are_those_of_the_settings() -> None:
    from fishjam_agents.playout.settings import AmbientSettings, PlayoutSettings, ThinkingSettings
    from fishjam_agents.turns.settings import TurnSettings
    from fishjam_agents.worker.settings import LimitSettings

    assert f"{PlayoutSettings().rewind:g} by default" in PAGE
    assert f"| `turns.max_turn` | {TurnSettings().max_turn:g} s |" in PAGE
    assert LimitSettings().max_call is LimitSettings().empty_room is None
    background, thinking = AmbientSettings(Path("x")), ThinkingSettings(Path("x"))
    assert f"level={background.level:g}, duck={background.duck:g}" in PAGE
    assert f"after: {thinking.after:g} " in PAGE
