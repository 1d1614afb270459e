"""A fallback for a model, so that the example needs no key: it greets, and calls two tools in each turn."""

from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fishjam_agents import load_speech
from fishjam_agents.backends import Backend, Capabilities, InlineSession, port

VOICE = Path(__file__).parents[2] / "audio_fixtures" / "bob_yes.wav"
CALLS = [
    {"order_status": {"number": 7}, "opening_hours": {"day": "Saturday"}},
    {"stock": {"article": "boots", "size": 41}, "end_call": {}},
]


@dataclass(frozen=True)
class Demo(Backend):
    in_process = True
    capabilities = Capabilities(output_rate=24000, wants_turn_audio=True, tools=True)

    @asynccontextmanager
    async def connect(self, conversation):
        session = DemoSession(conversation)
        session.say(f"Good morning. I know {len(conversation.tools)} tools.")
        yield session


class DemoSession(InlineSession):
    def __init__(self, conversation):
        self.emit = conversation.emit
        self.voice = load_speech(VOICE, 24000)
        self.calls = iter(CALLS)
        self.replies = 0

    def handle(self, entry):
        if isinstance(entry, port.TurnEndedInput):
            for name, arguments in next(self.calls, {"end_call": {}}).items():
                self.emit(port.ToolCall(f"{name}-{entry.turn.id}", name, arguments))
        elif isinstance(entry, port.ToolResultInput):
            self.say(f"{entry.name}: {entry.result}")

    def say(self, words):
        self.replies += 1
        reply = f"demo-{self.replies}"
        self.emit(port.ReplyStarted(reply))
        self.emit(port.ReplyTextDelta(reply, words))
        self.emit(port.ReplyAudio(reply, self.voice))
        self.emit(port.ReplyAudioEnded(reply))
