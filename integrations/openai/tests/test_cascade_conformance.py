"""The conformance kit for backends against a cascade over HTTP, through the real client and the emulator."""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import pytest
from fishjam_agents_openai import Chat, Speech, Transcription
from fishjam_agents_openai.emulator import Answer, Emulator

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade, Message
from fishjam_agents.testing.conformance import BackendConformance, FakeService, Received
from fishjam_agents.testing.conformance.harness import Harness
from tests.cascade.conversations import ConversationSeen

KEY = "sk-of-the-kit"
HEADER = 44
"""Bytes before the samples of a WAV file."""


class Turns(deque[Answer]):
    """Understands every turn, each as something else."""

    def __init__(self) -> None:
        super().__init__()
        self._seen = ConversationSeen()

    def __bool__(self) -> bool:
        return True

    def popleft(self) -> Answer:
        return Answer([self._seen.turn(0.0)])


class Servers(FakeService):
    """The emulator as all three servers of a cascade, in the kit's hands."""

    connects = False
    unprompted = False
    # Pictures go with the next words that are answered, whichever those are.
    sees = frozenset({"turn_ended", "text", "interrupt", "tool_result", "instructions", "tools"})
    secret = KEY

    def __init__(self) -> None:
        self.emulator = Emulator(transcripts=Turns(), key=KEY)

    async def __aenter__(self) -> FakeService:
        await self.emulator.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.emulator.stop()

    def backend(self) -> Cascade:
        access = {"base_url": self.emulator.base_url, "api_key": KEY} if self.emulator.running else {}
        return Cascade(
            [Transcription(model="ear", **access)],
            [Chat(model="mind", vision=True, **access)],
            [Speech(model="voice", voice="v", **access)],
            preemptive=True,
        )

    def received(self) -> Sequence[Received]:
        seen = ConversationSeen()
        for request in self.emulator.requests:
            if request.path == "/audio/transcriptions":
                seen.turn((len(request.file) - HEADER) / 32000)
            elif request.path == "/chat/completions":
                tools = [tool["function"]["name"] for tool in request.fields.get("tools", ())]
                seen.messages([m for sent in request.fields["messages"] for m in _messages(sent)], tools)
        return seen.received

    def known(self) -> str:
        return json.dumps([request.fields.get("messages") for request in self.emulator.requests])

    async def reply(self, seconds: float, sample: int) -> None:
        piece = np.full(2400, sample, "<i2").tobytes()
        # Where pieces end is up to the network: here in the middle of a sample.
        steps = [step for _ in range(round(seconds * 10)) for step in (0.1, piece[:2401], piece[2401:])]
        self.emulator.chats.append(Answer(["Yes."]))
        self.emulator.speeches.append(Answer(steps))

    async def answer_question(self, text: str) -> None:
        self.emulator.chats.appendleft(Answer([text]))

    async def call_tool(self, call: str, name: str, arguments: Mapping[str, Any]) -> None:
        if not self.emulator.chats:
            self.emulator.chats.append(Answer([]))
        steps = self.emulator.chats[0].steps
        assert isinstance(steps, list)
        function = {"name": name, "arguments": json.dumps(arguments)}
        steps.append({"tool_calls": [{"index": len(steps), "id": call, "function": function}]})


def _messages(sent: Mapping[str, Any]) -> list[Message]:
    """The messages in one that was sent: what a user says in several is sent as one, a paragraph each."""
    content = sent.get("content") or ""
    images: list[tuple[bytes, str]] = []
    if isinstance(content, list):
        urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
        images = [(base64.b64decode(url.partition(",")[2]), "image/jpeg") for url in urls]
        content = "\n\n".join(part["text"] for part in content if part["type"] == "text")
    *before, last = content.split("\n\n") if sent["role"] == "user" else [content]
    told = [Message(sent["role"], line) for line in before]
    return [*told, Message(sent["role"], last, call=sent.get("tool_call_id"), images=images)]


class TestCascadeOverHttp(BackendConformance):
    def fake_service(self) -> Servers:
        return Servers()

    def test_leaving_hangs_up_on_every_server(self) -> None:
        """What the kit asks of connections: none is open once the call is over."""

        async def check(harness: Harness, far: FakeService) -> None:
            assert isinstance(far, Servers)
            await harness.connected()
            await harness.reply_begins(1000, 3.0)
            assert far.emulator.open_connections
            await harness.leave()
            await harness.until(lambda: not far.emulator.open_connections, "end of the connections")
            assert far.emulator.hung_up == ["/audio/speech"]

        self.run(check)

    def test_a_barge_in_hangs_up_on_the_model_and_the_voice_while_the_connection_of_the_call_goes_on(
        self,
    ) -> None:
        """The next turn is answered, and what nobody heard was not left to be generated."""

        async def check(harness: Harness, far: FakeService) -> None:
            assert isinstance(far, Servers)
            await harness.connected()
            await far.reply(3.0, 1000)
            far.emulator.chats[0] = Answer(["Yes. ", 20.0, "No."])
            harness.turn()
            await harness.until(lambda: harness.of(port.ReplyAudio), "a reply")
            harness.put(port.InterruptInput(None))
            await harness.until(lambda: len(far.emulator.hung_up) == 2, "both to be hung up on")
            assert sorted(far.emulator.hung_up) == ["/audio/speech", "/chat/completions"]
            await harness.reply_begins(2000, 0.3)

        self.run(check)

    @pytest.mark.parametrize("answers", ["transcripts", "chats", "speeches"])
    def test_a_key_that_is_rejected_at_the_first_turn_ends_the_call_with_a_sentence(
        self, answers: str
    ) -> None:
        """There is nothing to connect to before."""

        async def check(harness: Harness, far: FakeService) -> None:
            assert isinstance(far, Servers)
            await harness.connected()
            refusal = Answer([f"Incorrect API key provided: {KEY}"], status=401)
            setattr(far.emulator, answers, deque([refusal]))
            harness.turn()
            error = await harness.failed(far.patience)
            assert (error.failure, error.retryable) == ("auth", False)
            assert KEY not in str(error)
            assert "\n" not in str(error)

        self.run(check)
