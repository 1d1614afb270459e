"""The call of `run` on the playground: a real bot in a real room, a report and a record in mid-call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import websockets

from fishjam_agents import AgentPipeline
from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends import Parrot
from fishjam_agents.backends import port as p
from fishjam_agents.cli import playground as module
from fishjam_agents.cli.playground import LiveCall
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.observe.replay import CallRecorder, Recording, read_recording, recorded, replayed
from fishjam_agents.observe.report import process
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.testing import Scripted, Step
from fishjam_agents.turns.settings import TurnSettings
from fishjam_agents.vision.settings import VisionSettings
from fishjam_agents.worker import JoinedRoom, RoomSettings, Worker

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


class Talk:
    """A bot in a room, shown, and a page that watches."""

    def __init__(
        self, server: EmbeddedServer, live: LiveCall, worker: Worker, task: asyncio.Task[Any]
    ) -> None:
        self.server = server
        self.live = live
        self.worker = worker
        self.task = task
        self.events: list[dict[str, Any]] = []
        self.over: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.live.registered.token}"}

    async def watch(self) -> None:
        url = self.server.url.replace("http", "ws", 1)
        async with websockets.connect(f"{url}/playground/events") as socket:
            await socket.send(json.dumps({"type": "auth", "token": self.live.registered.token}))
            async for text in socket:
                message = json.loads(text)
                self.events += message.get("events", [])
                self.over = message.get("reason", self.over)

    async def until(self, kind: str, count: int = 1) -> dict[str, Any]:
        while len(found := [event for event in self.events if event["kind"] == kind]) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return found[count - 1]

    async def join(self, name: str) -> dict[str, str]:
        async with httpx.AsyncClient(base_url=self.server.url, headers=self.headers) as http:
            answer = await http.post("/playground/join", json={"name": name})
        joined: dict[str, str] = answer.json()
        return joined

    async def fetch(self, name: str) -> str:
        async with httpx.AsyncClient(base_url=self.server.url, headers=self.headers) as http:
            answer = await http.get(f"/playground/{name}")
        assert answer.status_code == 200, answer.text
        return answer.text


@asynccontextmanager
async def talking(bot: AgentPipeline) -> AsyncIterator[Talk]:
    async with asyncio.timeout(50), EmbeddedServer() as server:
        room = server.rooms.create()
        placed: asyncio.Future[LiveCall] = asyncio.get_running_loop().create_future()

        def place(where: JoinedRoom) -> None:
            placed.set_result(LiveCall(bot, server, where))

        worker = Worker(
            bot,
            fishjam_id=server.url,
            management_token=server.token,
            room=RoomSettings(id=room.id),
            placed=place,
        )
        task = asyncio.create_task(worker.run())
        await asyncio.wait({task, placed}, return_when=asyncio.FIRST_COMPLETED)
        talk = Talk(server, placed.result(), worker, task)
        watching = asyncio.create_task(talk.watch())
        try:
            yield talk
        finally:
            worker.stop()
            await task
            talk.live.close()
            await watching


def parrot(**settings: Any) -> AgentPipeline:
    bot = AgentPipeline()
    bot.backend = Parrot(**settings)
    return bot


def replays(recording: Recording) -> bool:
    """Whether the same settings give the events of the call, of which there are some."""
    return replayed(recording) == recorded(recording) != []


def test_a_call_is_watched_reported_and_recorded_while_it_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        bot = parrot(text="as you say")
        bot.recorder = CallRecorder(tmp_path / "calls")
        async with talking(bot) as talk:
            await talk.until("call_started")
            joined = await talk.join("Ada <b>")
            assert joined["room_id"] == talk.live.room_id
            caller = await talk.server.add_caller(
                talk.live.room_id, read_wav(FIXTURES / "alice_question.wav")
            )
            first = await talk.until("reply_first_audio")
            assert abs(talk.live.now() - first["at"]) < 5
            report, record = await talk.fetch("report.html"), await talk.fetch("call.jsonl")
            assert report.startswith("<!doctype html>")
            assert "data:audio/wav;base64," in report
            assert "reply_first_audio" in report
            assert "Parrot, call " + (talk.live.id or "?") in report
            middle = tmp_path / "call.jsonl"
            middle.write_text(record)
            recording = read_recording(middle)
            assert not recording.cut
            assert recording.ended == pytest.approx(talk.live.now(), abs=5)
            assert replays(recording)
            await talk.until("reply_ended")
            # What was asked for in mid-call has disturbed neither.
            middle.write_text(await talk.fetch("call.jsonl"))
            assert replays(read_recording(middle))
            assert "reply_ended" in await talk.fetch("report.html")
            caller.leave()
        assert talk.over == "the call ended: it was stopped"
        assert [event["kind"] for event in talk.events][-1] == "call_ended"
        times = [event["at"] for event in talk.events]
        assert times == sorted(times)
        assert bot.recorder.text(talk.live.now()).endswith("}\n")  # type: ignore[union-attr]
        files = list((tmp_path / "calls").iterdir())
        assert len(files) == 1
        assert replays(read_recording(files[0]))

    asyncio.run(scenario())


def test_a_long_call_is_reported_by_its_last_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with talking(parrot()) as talk:
            await talk.server.add_caller(talk.live.room_id, read_wav(FIXTURES / "alice_question.wav"))
            started = await talk.until("user_started_speaking")
            await talk.until("reply_ended")
            report = await talk.fetch("report.html")
            assert talk.live.now() - started["at"] > 4
        # Of three seconds and what has begun of the next.
        assert "user_started_speaking" not in report
        assert "reply_ended" in report

    monkeypatch.setattr(module, "SOUND_SECONDS", 3)
    asyncio.run(scenario())


def test_sound_and_events_of_a_report_are_on_one_time_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[str, Any] = {}

    async def render(*, room: Any, samples: int, **call: Any) -> bytes:
        shown.update(call, room=np.concatenate(list(room)))
        assert len(shown["room"]) == samples
        return b"page"

    async def scenario() -> None:
        async with talking(parrot()) as talk:
            await asyncio.sleep(1.3)
            await talk.server.add_caller(talk.live.room_id, read_wav(FIXTURES / "alice_question.wav"))
            await talk.until("reply_ended")
            await talk.fetch("report.html")

    monkeypatch.setattr(process, "render_apart", render)
    asyncio.run(scenario())
    events = {event["kind"]: event for event in shown["timeline"]["events"]}
    rate = shown["sample_rate"]
    for side, at in (
        (0, events["user_started_speaking"]["media_at"]),
        (1, events["reply_first_audio"]["at"]),
    ):
        loud = np.flatnonzero(np.abs(shown["room"][:, side].astype(int)) > 500)
        # What was before the words, the parrot repeats, too.
        assert -0.1 < loud[0] / rate - at < 0.6
    assert shown["timeline"]["duration"] == pytest.approx(len(shown["room"]) / rate)


def test_what_is_written_on_the_page_is_answered() -> None:
    samples = (8000 * np.sin(np.arange(12000) / 9)).astype(np.int16)
    answer = [p.ReplyStarted("r1"), p.ReplyAudio("r1", samples), p.ReplyAudioEnded("r1")]

    async def scenario() -> None:
        bot = AgentPipeline()
        bot.backend = Scripted([Step(p.TextInput, answer)], p.Capabilities(text=True))
        async with talking(bot) as talk:
            assert talk.live.controls.text
            await talk.until("call_started")
            url = talk.server.url.replace("http", "ws", 1)
            async with websockets.connect(f"{url}/playground/events") as socket:
                await socket.send(json.dumps({"type": "auth", "token": talk.live.registered.token}))
                await socket.send(json.dumps({"type": "text", "text": "hello"}))
                assert (await talk.until("user_text"))["text"] == "hello"
                await talk.until("reply_ended")
        bot.backend.finish()

    asyncio.run(scenario())


def test_a_call_that_has_not_begun_can_be_asked_for_nothing() -> None:
    async def scenario() -> None:
        bot = AgentPipeline()
        bot.backend = Scripted([], p.Capabilities(text=True))
        async with EmbeddedServer() as server:
            live = LiveCall(bot, server, JoinedRoom(server.rooms.create().id, "bot", False))
            for ask in (live.interrupt, lambda: live.submit_text("hello", None), live.record):
                with pytest.raises(FishjamAgentsError, match=r"in no call|nothing is recorded"):
                    ask()
            assert b"<!doctype html>" in await live.report([], {})
            live.close()

    asyncio.run(scenario())


class Seeing(AgentPipeline):
    """A bot whose code may look."""


def test_the_page_offers_what_the_bot_can_do() -> None:
    able = p.Capabilities(text=True, images=True)

    async def controls(bot: AgentPipeline) -> list[str]:
        async with talking(bot) as talk:
            await talk.until("call_started")
            return [name for name, on in talk.live.controls.as_json().items() if on]

    def made(kind: type[AgentPipeline] = AgentPipeline, **settings: Any) -> AgentPipeline:
        bot = kind()
        bot.backend = Scripted([], able)
        for name, value in settings.items():
            setattr(bot, name, value)
        return bot

    assert asyncio.run(controls(parrot())) == ["interrupt"]
    assert asyncio.run(controls(made())) == ["text", "interrupt"]
    assert asyncio.run(controls(made(vision=VisionSettings(capture="interval")))) == [
        "text",
        "interrupt",
        "camera",
    ]
    assert asyncio.run(controls(made(Seeing))) == ["text", "interrupt", "camera"]
    assert asyncio.run(controls(made(turns=TurnSettings(mode="push_to_talk")))) == [
        *("push_to_talk", "text", "interrupt")
    ]


def test_a_bot_with_a_recorder_of_its_own_keeps_it() -> None:
    class Own:
        def open(self, *settings: object) -> Any:
            return CallRecorder("unused").open  # never called: the call is over before

    async def scenario() -> None:
        bot = parrot()
        async with EmbeddedServer() as server:
            room = server.rooms.create()
            bot.recorder = own = Own()
            live = LiveCall(bot, server, JoinedRoom(room.id, "bot", False))
            assert bot.recorder is own
            async with httpx.AsyncClient(base_url=server.url) as http:
                headers = {"authorization": f"Bearer {live.registered.token}"}
                answer = await http.get("/playground/call.jsonl", headers=headers)
                assert answer.status_code == 409
                report = await http.get("/playground/report.html", headers=headers)
                assert report.status_code == 200
            live.close()
            live.close()
            assert live not in bot.observers

    asyncio.run(scenario())
