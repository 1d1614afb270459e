"""A process that has too much to do: what its calls are told, and that they go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fishjam_agents import AgentPipeline, Overload
from fishjam_agents.audio.detection import Detection
from fishjam_agents.audio.vad import Decision
from fishjam_agents.backends import Parrot
from fishjam_agents.pipeline.process_load import ProcessLoad
from fishjam_agents.playout.settings import PlayoutSettings
from fishjam_agents.testing import MemoryCall
from tests.pipeline.conftest import FIXTURES, speech

Converse = Callable[..., MemoryCall]


class Told(AgentPipeline):
    backend = Parrot()

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Overload] = []

    async def on_overload(self, overload: Overload) -> None:
        self.told.append(overload)


def load(share: float) -> None:
    """Have the process seem to use so much of its core from now on."""
    process, loop = ProcessLoad.shared(), asyncio.get_running_loop()
    begun, used = loop.time(), process.used()[1]

    def seems() -> tuple[float, float]:
        seconds = used + share * (loop.time() - begun)
        return seconds, seconds

    process.used = seems


def test_a_bot_is_told_what_its_process_goes_through(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        for share in (0.3, 0.82, 0.97, 0.2):
            load(share)
            await asyncio.sleep(10)

    bot = Told()
    call = converse(bot, script)
    assert [event.state for event in call.of("overload")] == ["thinned", "overloaded", "relieved"]
    assert [event.state for event in bot.told] == ["thinned", "overloaded", "relieved"]
    near, over = bot.told[:2]
    assert near.cpu < 0.9 < over.cpu
    assert "silent microphones" in near.sentence()
    assert over.at > near.at + 5


def test_conversations_go_on_as_before_while_detection_is_thinned(
    converse: Converse, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = [0]
    feed = Detection.feed

    def counted(self: Detection, *arguments: object) -> Decision:
        judged[0] += 1
        return feed(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Detection, "feed", counted)

    def conversation(share: float) -> tuple[MemoryCall, int]:
        async def script(call: MemoryCall) -> None:
            alice, bob = await call.arrive("alice", "bob")
            load(share)
            await asyncio.sleep(5)
            await alice.speak(speech("alice_question.wav"))
            await call.wait_for("reply_first_audio")
            await asyncio.sleep(1)
            await bob.speak(speech("bob_question.wav"))
            await call.wait_for("reply_ended")
            await asyncio.sleep(5)

        judged[0] = 0
        return converse(Told(), script), judged[0]

    usual, all_of_them = conversation(0.2)
    thinned, some = conversation(0.85)

    assert thinned.of("overload")
    assert [kind for kind in thinned.kinds if kind != "overload"] == usual.kinds
    assert "barge_in_confirmed" in usual.kinds
    for ours, theirs in zip(thinned.of("user_turn_ended"), usual.of("user_turn_ended"), strict=True):
        assert ours.at == pytest.approx(theirs.at, abs=0.07)
    assert some < 0.7 * all_of_them


STALL = 0.3


def stall() -> None:
    """Stand still for a while, as a loop does that somebody blocks; the room's clock stands still with it."""
    asyncio.get_running_loop().now += STALL  # type: ignore[attr-defined]


def with_stalls(converse: Converse, stalls: bool) -> MemoryCall:
    """A conversation whose loop stands still while a user speaks, and while the bot does."""

    async def script(call: MemoryCall) -> None:
        loop = asyncio.get_running_loop()
        (alice,) = await call.arrive("alice")
        await asyncio.sleep(2)
        if stalls:
            loop.call_later(1.0, stall)
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(0.8)
        if stalls:
            stall()
        # Within a second of it: whoever speaks over the bot is heard as ever.
        await asyncio.sleep(0.5)
        await alice.speak(speech("bob_question.wav"))
        await call.wait_for("reply_ended")

    return converse(Told(), script)


def test_a_stall_of_300_ms_ends_no_turn_and_within_a_second_all_is_as_ever(converse: Converse) -> None:
    usual, stalled = with_stalls(converse, False), with_stalls(converse, True)

    told_of = [kind for kind in stalled.kinds if kind not in ("loop_lag", "audio_underrun")]
    assert told_of == usual.kinds
    assert "barge_in_confirmed" in told_of
    assert len(stalled.of("loop_lag")) == 2

    def reaction(call: MemoryCall) -> float:
        (suspected,) = call.of("barge_in_suspected")
        return float(suspected.at - suspected.media_at)

    assert reaction(stalled) == pytest.approx(reaction(usual), abs=0.041)
    for ours, theirs in zip(stalled.of("user_turn_ended"), usual.of("user_turn_ended"), strict=True):
        assert ours.media_at - ours.start == pytest.approx(theirs.media_at - theirs.start, abs=0.15)


def test_what_a_stall_held_up_is_not_sent_in_a_burst(converse: Converse) -> None:
    ahead: list[tuple[float, float]] = []

    class Tap:
        def sent(self, samples: object, end: float) -> None:
            now = asyncio.get_running_loop().time()
            ahead.append((now, end - now))

        def cut(self, at: float) -> None:
            """The call is over."""

    begun = [0.0]

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        call.bot.play(FIXTURES / "alice_long.wav")
        await call.wait_for("reply_first_audio")
        assert call.bot._call is not None
        call.bot._call.output.recording = Tap()  # type: ignore[assignment]
        await asyncio.sleep(1)
        stall()
        begun[0] = asyncio.get_running_loop().time()
        await call.wait_for("reply_ended")

    call = converse(Told(), script)
    lead = PlayoutSettings().lead
    assert max(by for _, by in ahead) <= lead + 0.02 + 0.021
    # In the second that follows, a second of the voice and what is kept ahead.
    after = [at for at, _ in ahead if begun[0] <= at < begun[0] + 1.0]
    assert len(after) * 0.02 == pytest.approx(1.0 + lead, abs=0.061)
    (underrun,) = call.of("audio_underrun")
    assert underrun.times == 1
