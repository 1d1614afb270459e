"""What the model sees of cameras: by the clock, when something changed, when it asks."""

from __future__ import annotations

import asyncio
import io
import re
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fishjam_agents import AgentPipeline
from fishjam_agents.backends import Parrot
from fishjam_agents.backends import port as p
from fishjam_agents.config import describe, load_config, pipeline_factory
from fishjam_agents.errors import (
    BackendError,
    ConfigError,
    FishjamAgentsError,
    MissingExtraError,
    install_extra,
)
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.testing import MemoryCall, Scripted, Step
from fishjam_agents.tools.builtin import look
from fishjam_agents.vision import difference
from fishjam_agents.vision.difference import Difference, UnreadablePictureError
from fishjam_agents.vision.settings import VisionSettings
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]
SEEING = p.Capabilities(images=True, tools=True)


def picture(seed: int, noise: int = 0) -> bytes:
    """A JPEG of 320 x 240 grey blocks, with a camera's noise over it."""
    from PIL import Image

    blocks = np.random.default_rng(seed).integers(0, 255, (6, 8)).repeat(40, 0).repeat(40, 1)
    grain = np.random.default_rng(noise).normal(0, 6, blocks.shape) if noise else 0
    out = io.BytesIO()
    Image.fromarray(np.clip(blocks + grain, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=80)
    return out.getvalue()


def bot_with(backend: p.Backend, vision: VisionSettings = VisionSettings()) -> AgentPipeline:  # noqa: B008
    bot = AgentPipeline()
    bot.backend = backend
    bot.vision = vision
    return bot


def seen(backend: Scripted) -> list[p.ImageInput]:
    return [entry for entry in backend.entries if isinstance(entry, p.ImageInput)]


def test_a_camera_is_looked_at_by_the_clock_and_passed_on_as_it_is(converse: Converse) -> None:
    backend = Scripted(offers=SEEING)
    still = picture(1)

    async def script(call: MemoryCall) -> None:
        (ann,) = await call.arrive("ann")
        ann.show(still)
        ann.show(b"screen", "screenShareVideo")
        await asyncio.sleep(9.5)

    call = converse(bot_with(backend, VisionSettings(capture="interval", every=2)), script)
    assert seen(backend) == [p.ImageInput(still, "image/jpeg", "ann", "ann-camera")] * 4
    assert call.room.session.captured == ["ann-camera"] * 4


def test_only_a_camera_that_shows_something_new_is_sent(converse: Converse) -> None:
    backend = Scripted(offers=SEEING)

    async def script(call: MemoryCall) -> None:
        (ann,) = await call.arrive("ann")
        for seed, noise in ((1, 1), (1, 2), (1, 3), (2, 4), (2, 5)):
            ann.show(picture(seed, noise))
            await asyncio.sleep(2)

    call = converse(bot_with(backend, VisionSettings(capture="change", every=2)), script)
    assert [entry.data for entry in seen(backend)] == [picture(1, 1), picture(2, 4)]
    assert len(call.room.session.captured) >= 5


def test_a_track_is_asked_at_most_once_a_second(converse: Converse) -> None:
    backend = Scripted(offers=SEEING)

    async def script(call: MemoryCall) -> None:
        (ann,) = await call.arrive("ann")
        track = ann.show(picture(1))
        async with asyncio.timeout(10):
            await asyncio.gather(*(call.bot.capture_image(track) for _ in range(4)))
        await asyncio.sleep(0.5)

    converse(bot_with(backend, VisionSettings(capture="interval", every=1)), script)
    assert 4 <= len(seen(backend)) <= 5


def test_a_picture_that_is_too_large_is_dropped_with_one_warning(converse: Converse) -> None:
    backend = Scripted(offers=SEEING)

    async def script(call: MemoryCall) -> None:
        (ann,) = await call.arrive("ann")
        track = ann.show(bytes(2000))
        await asyncio.sleep(5)
        with pytest.raises(FishjamAgentsError, match="a picture of 2000 bytes was dropped"):
            await call.bot.look()
        ann.show(bytes(900))
        await call.bot.capture_image(track)
        await asyncio.sleep(1)

    call = converse(bot_with(backend, VisionSettings(capture="interval", max_bytes=1000)), script)
    (warning,) = call.of("backend_warning")
    assert warning.message == (
        "a picture of 2000 bytes was dropped: at most 1000 are sent, raise vision.max_bytes"
    )
    assert {len(entry.data) for entry in seen(backend)} == {900}


def test_the_model_looks_at_who_speaks_and_has_the_picture_before_the_answer(converse: Converse) -> None:
    backend = Scripted(
        [
            Step(p.TurnStartedInput),
            Step(p.TurnEndedInput, [p.ToolCall("c1", "look", {})]),
            Step(p.ImageInput),
            Step(p.ToolResultInput),
        ],
        SEEING,
    )
    bot = bot_with(backend)
    bot.tools = (look,)

    async def script(call: MemoryCall) -> None:
        ann, bob = await call.arrive("ann", "bob")
        ann.show(picture(1))
        bob.show(picture(2))
        await bob.speak(speech("bob_question.wav"))
        await call.wait_for("tool_called")
        await asyncio.sleep(0.1)

    call = converse(bot, script)
    backend.finish()
    assert [entry.data for entry in seen(backend)] == [picture(2)]
    assert seen(backend)[0].peer == "bob"
    assert call.of("tool_called")[0].outcome == "ok"


def test_what_cannot_be_seen_is_said_in_words(converse: Converse) -> None:
    backend = Scripted(
        [Step(None, [1.0, p.ToolCall("c1", "look", {"what": "screen"})]), Step(p.ToolResultInput)], SEEING
    )
    bot = bot_with(backend)
    bot.tools = (look,)

    async def script(call: MemoryCall) -> None:
        ann, bob = await call.arrive("ann", "bob")
        await call.wait_for("tool_called")
        ann.show(b"off", paused=True)
        with pytest.raises(FishjamAgentsError, match="no camera is on: ask to switch it on"):
            await call.bot.look()
        ann.show(b"on")
        bob.show(b"on")
        with pytest.raises(FishjamAgentsError, match="2 people show a camera"):
            await call.bot.look()
        assert await call.bot.look(peer="ann") == "ann"
        call.room.session.answers = False
        with pytest.raises(FishjamAgentsError, match="no picture came from the camera"):
            await call.bot.look(peer="bob")
        assert sum(isinstance(entry, p.ImageInput) for entry in backend.entries) == 1

    converse(bot, script)
    result = next(entry for entry in backend.entries if isinstance(entry, p.ToolResultInput))
    assert result.error
    assert result.result == "look: no screen is on: ask to switch it on"


def test_a_picture_nobody_can_use_is_dropped_with_a_warning(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        for _ in range(3):
            call.room.session.deliver(SimpleNamespace(track_id="t", content_type="image/jpeg", data=b"x"))
        await asyncio.sleep(0.1)

    call = converse(bot_with(Scripted()), script)
    assert [event.message for event in call.of("backend_warning")] == [
        "an image was dropped: the backend takes none"
    ]


def test_a_bot_that_looks_needs_a_backend_that_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    bot = bot_with(Parrot(), VisionSettings(capture="interval"))
    with pytest.raises(FishjamAgentsError, match=r"vision\.capture is 'interval', but Parrot"):
        bot.verify()
    bot = bot_with(Scripted(offers=p.Capabilities(tools=True)))
    bot.tools = (look,)
    with pytest.raises(FishjamAgentsError, match="the tool look is offered, but Scripted takes no images"):
        bot.verify()
    monkeypatch.setattr(difference, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=re.escape(install_extra("vision"))):
        bot_with(Scripted(offers=SEEING), VisionSettings(capture="change")).verify()


def test_looking_needs_a_running_call_and_a_backend_that_sees(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        with pytest.raises(BackendError, match="takes no images"):
            await call.bot.look()

    converse(bot_with(Scripted()), script)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 0.5}, "every must be"),
        ({"change": 0}, "change must be"),
        ({"max_bytes": 5}, "max_bytes must be"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VisionSettings(**settings)  # type: ignore[arg-type]


def test_what_is_no_picture_is_told_apart() -> None:
    with pytest.raises(UnreadablePictureError):
        Difference(0.02).is_new(b"no picture")


@pytest.mark.parametrize("side", [4000, 15000])
def test_a_picture_that_would_take_long_to_open_is_not_opened(side: int) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    with pytest.raises(UnreadablePictureError, match="pixels"):
        Difference(0.02).is_new(png + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))


def test_a_camera_is_shown_to_the_model_of_its_peer_alone(converse: Converse) -> None:
    backend = Scripted(offers=p.Capabilities(images=True, replies_wait=True))
    bot = bot_with(backend, VisionSettings(capture="interval", every=1))
    bot.hearing = HearingSettings(mode="per_peer")

    async def script(call: MemoryCall) -> None:
        ann, bob = await call.arrive("ann", "bob")
        ann.show(picture(1))
        bob.show(picture(2))
        await asyncio.sleep(3.5)

    call = converse(bot, script)
    assert len(backend.connections) == 2
    assert len(seen(backend)) == len(call.room.session.captured) >= 6


@pytest.mark.parametrize(
    ("vision", "told"),
    [
        ("{capture: interval, every: 3}", "sees      tracks of type camera, every 3 s"),
        (
            "{capture: change, tracks: [camera, screenShareVideo]}",
            "sees      tracks of type camera or screenShareVideo, every 2 s, if it changed",
        ),
        ("{max_bytes: 5000}", "sees      cameras on demand"),
        ("{every: 0.2}", "config.yaml:3: agent.vision: every must be between 1 and 3600 s, not 0.2"),
        ("{capture: always}", "config.yaml:3: agent.vision.capture must be demand, interval or change"),
    ],
)
def test_a_file_says_what_the_model_sees(
    vision: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "seeing_bot.py").write_text(
        "from fishjam_agents import AgentPipeline\n"
        "from fishjam_agents.backends import port\n"
        "from fishjam_agents.testing import Scripted\n"
        "class Bot(AgentPipeline):\n"
        "    backend = Scripted(offers=port.Capabilities(images=True))\n"
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "seeing_bot", raising=False)
    (tmp_path / "config.yaml").write_text(f"agent:\n  pipeline: seeing_bot:Bot\n  vision: {vision}\n")
    try:
        config = load_config(tmp_path / "config.yaml", {})
        lines = describe(config, pipeline_factory(config)())
    except ConfigError as error:
        lines = [str(error)]
    assert [line for line in lines if told in line]
