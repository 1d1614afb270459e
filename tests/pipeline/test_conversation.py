from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from fishjam_agents.audio.gain import dbfs
from fishjam_agents.audio.resampling import resample
from fishjam_agents.backends import Parrot
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.protocol.messages import TrackData
from fishjam_agents.session import PeerType
from fishjam_agents.testing import MemoryCall
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]


class Bot(AgentPipeline):
    backend = Parrot()


def similarity(heard: np.ndarray, said: np.ndarray) -> float:
    """Highest normalised cross-correlation of two recordings at one rate."""
    size = len(heard) + len(said)
    spectrum = np.fft.rfft(heard.astype(float), size) * np.conj(np.fft.rfft(said.astype(float), size))
    return float(
        np.fft.irfft(spectrum).max()
        / np.sqrt(np.sum(heard.astype(float) ** 2) * np.sum(said.astype(float) ** 2))
    )


def test_the_parrot_answers_with_the_callers_words(converse: Converse) -> None:
    words = speech("alice_question.wav")

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(words)
        await call.wait_for("reply_ended")

    call = converse(Bot(), script)
    assert [k for k in call.kinds if not k.startswith("user_s")] == [
        "call_started",
        "peer_joined",
        "user_turn_ended",
        "reply_started",
        "reply_first_audio",
        "reply_generated",
        "reply_ended",
        "call_ended",
    ]
    assert similarity(call.room.played(), resample(words, 16000, 24000)) > 0.95
    (turn,) = call.of("user_turn_ended")
    assert turn.start == pytest.approx(0.5, abs=0.1)
    assert turn.media_at == pytest.approx(0.5 + len(words) / 16000, abs=0.15)
    assert (turn.peer, turn.reason) == ("alice", "silence")


def test_speaking_over_the_reply_ends_it(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_long.wav"))
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(1.0)
        call.onset = call.room.now  # type: ignore[attr-defined]
        await alice.speak(speech("bob_question.wav"))
        await call.wait_for("reply_ended")

    call = converse(Bot(), script)
    barge_in = [k for k in call.kinds if k.startswith(("barge", "reply_int"))]
    assert barge_in == ["barge_in_suspected", "barge_in_confirmed", "reply_interrupted"]
    onset = call.onset  # type: ignore[attr-defined]
    wave = call.room.played()
    assert dbfs(wave[round((onset - 0.2) * 24000) : round(onset * 24000)]) > -40
    silent_from, silent_to = round((onset + 0.2) * 24000), round((onset + 2.0) * 24000)
    assert not wave[silent_from:silent_to].any()
    (interrupted,) = call.of("reply_interrupted")
    assert interrupted.heard.seconds == pytest.approx(1.1, abs=0.1)
    assert len(call.of("user_turn_ended")) == 2


@pytest.mark.parametrize("burst", ["cough.wav", "grunt.wav"])
def test_a_cough_silences_the_reply_and_it_goes_on_complete(converse: Converse, burst: str) -> None:
    words = speech("alice_long.wav")

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(words)
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(1.0)
        await alice.speak(speech(burst))
        await call.wait_for("reply_ended")

    call = converse(Bot(), script)
    barge_in = [k for k in call.kinds if k.startswith(("barge", "reply_int"))]
    assert barge_in in ([], ["barge_in_suspected", "barge_in_withdrawn"])
    (ended,) = call.of("reply_ended")
    (generated,) = call.of("reply_generated")
    assert ended.heard.seconds == pytest.approx(generated.seconds, abs=0.001)


def test_a_grunt_is_noticed(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_long.wav"))
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(1.5)  # The first second of the bot's voice is guarded by its level.
        await alice.speak(speech("grunt.wav"))
        await call.wait_for("barge_in_withdrawn")
        await call.wait_for("reply_ended")

    call = converse(Bot(), script)
    suspected, withdrawn = call.of("barge_in_suspected")[0], call.of("barge_in_withdrawn")[0]
    assert suspected.reply == withdrawn.reply == "parrot-0-1"
    assert withdrawn.at - withdrawn.media_at < 0.5


def test_yes_is_a_turn(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_yes.wav"))
        await call.wait_for("reply_ended")

    assert len(converse(Bot(), script).of("user_turn_ended")) == 1


def test_a_pause_inside_a_sentence_does_not_end_the_turn(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_pause.wav"))
        await call.wait_for("reply_ended")

    call = converse(Bot(), script)
    assert len(call.of("user_turn_ended")) == 1
    assert len(call.of("user_started_speaking")) == 2


def test_going_on_before_the_answer_replaces_it(converse: Converse) -> None:
    class Slow(AgentPipeline):
        backend = Parrot(delay=1.0)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("user_turn_ended")
        await asyncio.sleep(0.5)
        await alice.speak(speech("alice_yes.wav"))
        await call.wait_for("user_turn_ended", 2)
        await call.wait_for("reply_ended")

    call = converse(Slow(), script)
    assert len(call.of("reply_started")) == 1
    assert call.of("reply_generated")[0].seconds < 1.5


def test_two_people_are_both_answered_and_the_bot_never_talks_over_them(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        alice, bob = await call.arrive("alice", "bob")
        alice.say(speech("alice_long.wav"))
        await asyncio.sleep(1.0)
        bob.say(speech("bob_question.wav"))
        await call.wait_for("reply_ended", 2)

    call = converse(Bot(), script)
    assert [t.peer for t in call.of("user_turn_ended")] == ["bob", "alice"]
    replies = [e for e in call.observed if e.kind in ("reply_first_audio", "user_turn_ended")]
    assert [e.kind for e in replies[:2]] == ["user_turn_ended", "user_turn_ended"]
    # Alice had the floor, so she is answered first.
    assert call.of("reply_generated")[0].seconds > call.of("reply_generated")[1].seconds
    assert not call.of("reply_interrupted")


def test_one_who_speaks_on_takes_the_floor_and_is_answered_too(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        alice, bob = await call.arrive("alice", "bob")
        alice.say(speech("alice_question.wav"))
        await asyncio.sleep(1.5)
        bob.say(speech("bob_long.wav"))
        await call.wait_for("reply_ended", 2)

    call = converse(Bot(), script)
    assert [t.peer for t in call.of("user_turn_ended")] == ["alice", "bob"]
    bob_stopped = call.of("user_turn_ended")[1]
    assert call.of("reply_first_audio")[0].at >= bob_stopped.media_at


@pytest.mark.parametrize("jitter", [0.0, 0.03])
@pytest.mark.parametrize("delay", [0.0, 0.08, 0.25])
def test_what_was_heard_is_what_the_server_played(converse: Converse, delay: float, jitter: float) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        for pause in (0.33, 1.07, 2.0):
            await alice.speak(speech("alice_long.wav"))
            await call.wait_for("reply_first_audio", len(call.of("reply_started")) or 1)
            await asyncio.sleep(0.7 + pause)
            call.bot.interrupt()
            await asyncio.sleep(2.0)

    call = converse(Bot(), script, delay=delay, jitter=jitter)
    cuts = call.room.session.tracks[0].playout.cuts
    heard = [e.heard.seconds for e in call.of("reply_interrupted")]
    assert len(heard) == len(cuts) == 3
    total = 0.0
    for cut, seconds in zip(cuts, heard, strict=True):
        assert cut.played_seconds - total == pytest.approx(seconds, abs=0.04)
        total = cut.played_seconds


def test_a_muted_microphone_ends_the_turn_later(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        alice.muted = True
        await call.wait_for("reply_ended")

    (turn,) = converse(Bot(), script).of("user_turn_ended")
    assert turn.reason == "missing"
    assert turn.at - turn.media_at == pytest.approx(1.5, abs=0.15)


def test_a_stalled_network_does_not_split_a_turn(converse: Converse) -> None:
    words = speech("alice_long.wav")

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(words[:24000])
        alice.muted = True
        await asyncio.sleep(0.8)
        burst = words[24000 : 24000 + round(0.8 * 16000)]
        for start in range(0, len(burst), 320):
            call.room.session.deliver(TrackData("alice", alice.track, burst[start : start + 320].tobytes()))
        alice.muted = False
        await alice.speak(words[24000 + len(burst) :])
        await call.wait_for("reply_ended")

    call = converse(Bot(), script)
    (turn,) = call.of("user_turn_ended")
    assert turn.reason == "silence"
    # All the words, the pre-roll before them and the tail after them: nothing was lost in the stall.
    (reply,) = call.of("reply_generated")
    assert reply.seconds == pytest.approx(len(words) / 16000 + 0.3 + 0.2, abs=0.15)
    media = [e.media_at for e in call.observed if hasattr(e, "media_at")]
    assert all(e.media_at <= e.at + 1e-6 for e in call.observed if hasattr(e, "media_at"))
    assert media == sorted(media)


def test_a_peer_that_leaves_in_mid_word_ends_the_turn(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        alice.say(speech("alice_long.wav"))
        await asyncio.sleep(2.0)
        call.room.leave("alice")
        # Nobody is there to hear the answer.
        await call.wait_for("reply_interrupted")

    call = converse(Bot(), script)
    (turn,) = call.of("user_turn_ended")
    assert turn.reason == "left"
    assert call.kinds.index("user_turn_ended") < call.kinds.index("peer_left")


def test_a_track_under_a_new_id_continues_the_turn(converse: Converse) -> None:
    words = speech("alice_long.wav")

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(words[:32000])
        alice.muted = True
        await asyncio.sleep(0.3)
        alice.republish("alice-again")
        alice.muted = False
        await alice.speak(words[32000:])
        await call.wait_for("reply_ended")

    call = converse(Bot(), script)
    (turn,) = call.of("user_turn_ended")
    assert turn.track == "alice-again"


def test_screen_sound_and_other_bots_are_not_heard(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        screen = call.room.join("carol", metadata={"type": "screenShareAudio"})
        marked = call.room.join("dave", metadata={"type": "microphone", "agent": True})
        agent = call.room.join("erin", kind=PeerType.AGENT)
        for peer in (screen, marked, agent):
            peer.say(speech("alice_question.wav"))
        await asyncio.sleep(6.0)

    call = converse(Bot(), script)
    assert not call.of("user_started_speaking")
    assert {e.peer for e in call.of("peer_joined")} == {"carol", "dave"}


def test_without_a_room_view_peers_are_known_by_their_audio(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended")

    call = converse(Bot(), script, view=False)
    assert [e.peer for e in call.of("peer_joined")] == ["alice"]


def test_a_turn_at_the_limit_is_answered(converse: Converse) -> None:
    class Impatient(AgentPipeline):
        backend = Parrot()
        turns = TurnSettings(max_turn=2.0)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_long.wav"))
        await call.wait_for("user_turn_ended", 2)

    assert converse(Impatient(), script).of("user_turn_ended")[0].reason == "limit"


def test_a_ten_minute_conversation_is_tested_at_once(converse: Converse) -> None:
    question, yes = speech("alice_question.wav"), speech("alice_yes.wav")

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        while call.room.now < 600:
            await alice.speak(question)
            await call.wait_for("reply_first_audio", len(call.of("reply_first_audio")) + 1)
            await asyncio.sleep(1.0)
            await alice.speak(yes)
            await asyncio.sleep(3.0)

    call = converse(Bot(), script)
    assert len(call.of("user_turn_ended")) > 60
