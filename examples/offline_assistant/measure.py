"""Measure how well the receptionist understands lines of several voices, heard by the configured Whisper.

    uv run --group offline python examples/offline_assistant/measure.py

Every line is spoken, transcribed, and answered by the dialogue as in a call; the tools themselves are not
run. A wish is understood if the right tool is called with the right arguments, or the right thing is asked or
answered.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import yaml
from fishjam_agents_local.intents import Dialogue, Intents

from fishjam_agents.backends import registry
from fishjam_agents.backends.cascade import (
    Cascade,
    LanguageModel,
    LLMToolCall,
    Message,
    SpeechToText,
    TextToSpeech,
)
from fishjam_agents.config import load_config, pipeline_factory
from fishjam_agents.tools.collect import collect

HERE = Path(__file__).parent
RATE = 16000
VOICES = tuple({"type": "kokoro", "voice": voice} for voice in ("jm_kumo", "jf_tebukuro", "jf_gongitsune"))
"""With which nobody tried anything while the dialogue was written."""
UNDERSTOOD, MISTAKEN = 0.9, 0.05
"""Share of wishes that have to be understood, and of small talk at most that may call a tool."""
RESULT = "42"
"""Answer of every tool."""


@dataclass
class Reply:
    """Answer to a line.

    Attributes:
        heard: The words that were understood.
        text: What is answered.
        calls: Tools that are called first.
    """

    heard: str
    text: str
    calls: list[LLMToolCall]


class Listener:
    """The bot's ears and head, without a call around them."""

    def __init__(self, stt: SpeechToText, llm: LanguageModel, tools: Sequence[Any]) -> None:
        self.stt = stt
        self.llm = llm
        self.tools = tools

    async def transcribe(self, voice: TextToSpeech, text: str) -> str:
        """Have a line spoken, and return what is understood of it."""
        pcm = b"".join([piece async for piece in voice.speak(text)])
        sound = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float64)
        quiet = np.zeros(RATE // 4)
        sound = np.concatenate([quiet, soxr.resample(sound, voice.sample_rate, RATE), quiet])
        words = ""
        async for piece in self.stt.transcribe(np.clip(sound, -32768, 32767).astype(np.int16)):
            words = piece.text
        return words

    async def answer(self, messages: list[Message], heard: str) -> Reply:
        """Answer something that was heard, and add it to a conversation."""
        messages.append(Message("user", heard))
        reply = Reply(heard, "", [])
        for _ in range(2):
            text, calls = "", []
            async for piece in self.llm.reply(messages, self.tools):
                if isinstance(piece, str):
                    text += piece
                elif isinstance(piece, LLMToolCall):
                    calls.append(piece)
            if text.strip():
                messages.append(Message("assistant", text.strip()))
            reply.text = f"{reply.text} {text}".strip()
            if not calls:
                break
            reply.calls += calls
            messages.append(Message("assistant", "", calls=calls))
            messages += [Message("tool", RESULT, call=call.call) for call in calls]
        return reply


def understood(line: dict[str, Any], reply: Reply, dialogue: Dialogue) -> bool:
    """Return whether a wish was understood."""
    if "call" in line:
        arguments = line.get("arguments", {})
        return any(
            call.name == line["call"] and arguments.items() <= dict(call.arguments).items()
            for call in reply.calls
        )
    if "answer" in line:
        return line["answer"] in reply.text
    intent = dialogue.intents[line["wants"]]
    if intent.tool is not None and any(call.name == intent.tool for call in reply.calls):
        return True
    texts = [slot.ask for slot in intent.slots.values()] + list(intent.answer) + [intent.confirm or ""]
    return any(text and text.partition("{")[0] in reply.text and text.partition("{")[0] for text in texts)


async def measure(lines: dict[str, Any], voices: Sequence[dict[str, Any]], config: Path) -> int:
    """Print the tables; returns 1 if less is understood, or more misunderstood, than should be."""
    loaded = load_config(config)
    bot = pipeline_factory(loaded)()
    backend = bot.backend
    assert isinstance(backend, Cascade)
    (intents,) = backend.llm
    assert isinstance(intents, Intents)
    dialogue = intents.dialogue
    tools = [tool.declaration for tool in collect(bot, bot.tools)]
    all_right = all_called = 0
    async with AsyncExitStack() as stack:
        listener = Listener(
            await stack.enter_async_context(backend.stt[0].connect()),
            await stack.enter_async_context(intents.connect()),
            tools,
        )
        print(f"{'voice':32} {'understood':>12} {'tool called by small talk':>28} {'asked back':>12}")
        for settings in voices:
            kind = registry.find(settings["type"], TextToSpeech)  # type: ignore[type-abstract]
            part = kind(**{key: value for key, value in settings.items() if key != "type"})
            voice = await stack.enter_async_context(part.connect())
            wishes, wrong = lines["wishes"], []
            for line in wishes:
                messages: list[Message] = []
                for before in line.get("before", ()):
                    await listener.answer(messages, before)
                reply = await listener.answer(messages, await listener.transcribe(voice, line["say"]))
                if not understood(line, reply, dialogue):
                    wrong.append((line["say"], reply))
            called, asked = [], 0
            for say in lines["small_talk"]:
                reply = await listener.answer([], await listener.transcribe(voice, say))
                if reply.calls:
                    called.append((say, reply))
                asked += reply.text.startswith(dialogue.phrases.unsure.partition("{")[0])
            right, talk = len(wishes) - len(wrong), len(lines["small_talk"])
            name = " ".join(str(value) for value in settings.values())
            share = f"{right} of {len(wishes)}"
            print(f"{name:32} {share:>12} {f'{len(called)} of {talk}':>28} {f'{asked} of {talk}':>12}")
            for say, reply in (*wrong, *called):
                calls = " ".join(f"{call.name}{dict(call.arguments)}" for call in reply.calls)
                print(f"    {say!r}, heard {reply.heard!r}: {calls} {reply.text!r}")
            all_right += right
            all_called += len(called)
    lines_said = len(voices) * len(lines["wishes"]), len(voices) * len(lines["small_talk"])
    print(f"{'all':32} {f'{all_right} of {lines_said[0]}':>12} {f'{all_called} of {lines_said[1]}':>28}")
    passed = all_right >= UNDERSTOOD * lines_said[0] and all_called <= MISTAKEN * lines_said[1]
    return 0 if passed else 1


def main(words: list[str] | None = None) -> int:
    """Measure, by the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=Path, default=HERE / "held_out.yaml", help="the lines")
    parser.add_argument("--config", type=Path, default=HERE / "config.yaml", help="the bot")
    parser.add_argument(
        "--voice", action="append", help='in place of the three: "{type: espeak, voice: en-us}"'
    )
    options = parser.parse_args(words)
    voices = [yaml.safe_load(voice) for voice in options.voice or ()] or VOICES
    return asyncio.run(measure(yaml.safe_load(options.lines.read_text()), voices, options.config))


if __name__ == "__main__":
    sys.exit(main())
