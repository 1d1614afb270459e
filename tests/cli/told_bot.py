"""A bot that notes what it is asked and does, for tests that kill its process."""

from __future__ import annotations

BOT = '''
import asyncio, json, os
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from fishjam_agents import AgentPipeline, tool
from fishjam_agents.backends.cascade import (
    Cascade, LanguageModel, LLMToolCall, SpeechToText, TextToSpeech, Transcript
)

HERE = Path(__file__).parent
SCRIPT = json.loads((HERE / "script.json").read_text())
LONG = "One one one one. Two two two two. Three three three three. Four four four four."


def note(kind, **data):
    with (HERE / "what.jsonl").open("a") as file:
        file.write(json.dumps({"kind": kind, "pid": os.getpid(), **data}) + "\\n")


@dataclass(frozen=True, eq=False)
class Ears(SpeechToText):
    in_process: ClassVar[bool] = True

    async def transcribe(self, audio):
        yield Transcript("What is there to tell?", final=True)


@dataclass(frozen=True, eq=False)
class Model(LanguageModel):
    in_process: ClassVar[bool] = True

    async def reply(self, messages, tools):
        said = [(message.role, message.text) for message in messages]
        note("asked", messages=said)
        last = messages[-1]
        if last.role == "tool":
            yield "The tool said " + last.text[:40]
        elif "line was lost" in last.text:
            yield "And so I go on."
        elif SCRIPT["tool"]:
            yield LLMToolCall("c1", SCRIPT["tool"], {"seat": 7})
        else:
            yield SCRIPT["reply"]


@dataclass(frozen=True, eq=False)
class Voice(TextToSpeech):
    sample_rate: int = 24000
    in_process: ClassVar[bool] = True

    async def speak(self, text):
        note("spoken", text=text)
        samples = np.arange(int(len(text) * 0.06 * self.sample_rate))
        yield (8000 * np.sin(samples / 10)).astype("<i2").tobytes()


class Bot(AgentPipeline):
    backend = Cascade(stt=[Ears()], llm=[Model()], tts=[Voice()])

    async def on_peer_joined(self, peer):
        note("joined", continued=self.continued)

    async def on_reply_ended(self, speech):
        note("ended")

    @tool
    async def book(self, seat: int) -> str:
        """Book a seat."""
        note("booked", seat=seat)
        await asyncio.sleep(SCRIPT["takes"])
        return "booked"

    @tool(idempotent=True)
    async def look_up(self, seat: int) -> str:
        """Look a seat up."""
        note("looked", seat=seat)
        await asyncio.sleep(0.1 if self.continued else SCRIPT["takes"])
        return "it is free"
'''
