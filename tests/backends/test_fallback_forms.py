"""Backends that differ in rates, and in whether they take turns whole, stand in for one another."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from fishjam_agents.backends import Capabilities, Fallback, Parrot
from fishjam_agents.backends import port as p
from fishjam_agents.events import Heard, Turn
from fishjam_agents.testing import Scripted, Step
from tests.backends.fallback_kit import REFUSED, Linked, link, reply


def tone(hertz: float, seconds: float, rate: int) -> p.Samples:
    return np.round(8000 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(
        np.int16
    )


def pitch(samples: p.Samples, rate: int) -> float:
    """The strongest frequency, Hz."""
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    return float(np.argmax(spectrum) * rate / len(middle))


def gone(capabilities: Capabilities) -> Scripted:
    return Scripted([Step(None, [REFUSED])], capabilities)


def test_a_turn_in_frames_reaches_one_that_wants_it_whole_at_another_rate() -> None:
    async def script(linked: Linked) -> None:
        linked.turn(tone(440, 1.0, 24000), whole=False, rate=24000)
        await asyncio.sleep(3)

    # The parrot hears 16 kHz and speaks 24 kHz.
    linked = link(Fallback([gone(Capabilities(input_rate=24000, output_rate=16000)), Parrot()]), script)
    (begun,) = [event.reply for event in linked.events if isinstance(event, p.ReplyStarted)]
    heard = linked.said(begun)
    assert len(heard) == pytest.approx(16000, abs=40)
    assert pitch(heard, 16000) == pytest.approx(440, abs=3)
    assert int(np.abs(heard).max()) == pytest.approx(8000, rel=0.05)


def test_a_whole_turn_reaches_one_that_wants_frames_at_another_rate() -> None:
    second = Scripted(
        [Step(p.TurnStartedInput), Step(p.TurnEndedInput, reply("r1", 1.0, 16000))],
        Capabilities(input_rate=24000, output_rate=16000),
    )

    async def script(linked: Linked) -> None:
        linked.turn(tone(440, 1.5, 16000), whole=True)
        await asyncio.sleep(3)

    linked = link(Fallback([gone(Parrot.capabilities), second]), script)
    second.finish()
    started, *pieces, ended = second.entries
    assert isinstance(started, p.TurnStartedInput)
    assert isinstance(ended, p.TurnEndedInput)
    assert ended.audio is None
    # In pieces that services take.
    audio = [piece for piece in pieces if isinstance(piece, p.AudioInput)]
    assert [(piece.peer, piece.seconds) for piece in audio] == [("ann", 1.0), ("ann", 0.5)]
    samples = np.concatenate([piece.samples for piece in audio])
    assert len(samples) == 36000
    assert pitch(samples, 24000) == pytest.approx(440, abs=3)
    # And back: what it says comes at the first one's rate, complete.
    (begun,) = [event.reply for event in linked.events if isinstance(event, p.ReplyStarted)]
    assert len(linked.said(begun)) == pytest.approx(24000, abs=40)
    last = next(event for event in reversed(linked.events) if getattr(event, "reply", None) == begun)
    assert isinstance(last, p.ReplyAudioEnded)


def test_frames_are_resampled_one_by_one() -> None:
    second = Scripted(
        [Step(p.TurnStartedInput), Step(p.TurnEndedInput)], Capabilities(input_rate=24000, output_rate=24000)
    )

    async def script(linked: Linked) -> None:
        linked.turn(tone(440, 1.0, 16000), whole=False)
        await asyncio.sleep(3)

    link(Fallback([gone(Capabilities()), second]), script)
    frames = [entry for entry in second.entries if isinstance(entry, p.AudioInput)]
    assert [len(frame.samples) for frame in frames] == [480] * 50
    assert pitch(np.concatenate([frame.samples for frame in frames]), 24000) == pytest.approx(440, abs=3)


def test_a_turn_whose_first_half_went_to_the_failed_backend_is_whole_for_the_stand_in() -> None:
    first = Scripted([Step(p.TurnStartedInput, [0.3, REFUSED])])

    async def script(linked: Linked) -> None:
        voice = tone(440, 1.0, 16000)
        halves = voice[:8000], voice[8000:]
        linked.put(p.TurnStartedInput("ann", 0.0))
        for half in halves:
            linked.put(*(p.AudioInput("ann", half[i : i + 320], 0.02) for i in range(0, 8000, 320)))
            await asyncio.sleep(1)
        linked.put(p.TurnEndedInput(Turn("turn-1", "ann", "mic", 0.0, 1.0)))
        await asyncio.sleep(2)

    linked = link(Fallback([first, Parrot()]), script)
    (begun,) = [event.reply for event in linked.events if isinstance(event, p.ReplyStarted)]
    assert len(linked.said(begun)) == 24000
    assert len([entry for entry in first.entries if isinstance(entry, p.AudioInput)]) == 25


def test_a_turn_that_is_taken_back_is_not_told_to_the_stand_in() -> None:
    first = Scripted([Step(p.TurnStartedInput), Step(p.TurnCancelledInput, [1.0, REFUSED])])
    second = Scripted()

    async def script(linked: Linked) -> None:
        silence = np.zeros(320, np.int16)
        linked.put(p.TurnStartedInput("ann", 0.0), p.AudioInput("ann", silence, 0.02))
        linked.put(p.TurnCancelledInput("ann"))
        await asyncio.sleep(3)

    link(Fallback([first, second]), script)
    assert len(second.connections) == 1
    assert not second.entries


def test_where_the_model_rules_turns_the_stand_in_hears_what_was_said_last() -> None:
    owns = Capabilities(own_turn_detection=True)
    first, second = Scripted([Step(None, [20.0, REFUSED])], owns), Scripted([], owns)

    async def script(linked: Linked) -> None:
        frame = np.full(320, 3000, np.int16)
        for _ in range(1100):
            linked.put(p.AudioInput("ann", frame, 0.02))
            await asyncio.sleep(0.02)

    link(Fallback([first, second]), script, "backend")
    seconds = sum(entry.seconds for entry in second.entries if isinstance(entry, p.AudioInput))
    # Ten seconds of what the first had, and what was said since.
    assert seconds == pytest.approx(12, abs=0.2)


def test_ids_of_replies_and_tools_are_unique_over_backends() -> None:
    step = Step(p.TextInput, [p.ToolCall("c1", "look"), *reply("r1"), 1.0, REFUSED])
    capabilities = Capabilities(text=True, tools=True)

    async def script(linked: Linked) -> None:
        linked.put(p.TextInput("hello"))
        await asyncio.sleep(2)
        linked.put(p.TextInput("hello again"))
        await asyncio.sleep(3)

    # The same script for both: whoever is told something answers with the same ids.
    linked = link(Fallback([Scripted([step], capabilities), Scripted([step, step], capabilities)]), script)
    replies = [event.reply for event in linked.events if isinstance(event, p.ReplyStarted)]
    calls = [event.call for event in linked.events if isinstance(event, p.ToolCall)]
    assert len(replies) == len(set(replies)) >= 2
    assert len(calls) == len(set(calls)) >= 2


def test_what_is_spent_is_added_up_over_backends() -> None:
    def costs(total: float) -> Scripted:
        return Scripted([Step(None, [p.BackendUsage({"tokens": 1.0}, total, total), 1.0, REFUSED])])

    async def script(linked: Linked) -> None:
        await asyncio.sleep(5)

    linked = link(Fallback([costs(0.5), costs(0.25)]), script)
    assert [event.total_cost for event in linked.events if isinstance(event, p.BackendUsage)] == [0.5, 0.75]


def test_pauses_are_told_to_a_stand_in_that_wants_them_with_the_turn_so_far() -> None:
    second = Scripted(
        [Step(p.TurnStartedInput), Step(p.TurnPausedInput), Step(p.TurnResumedInput), Step(p.TurnEndedInput)],
        Capabilities(wants_turn_audio=True, wants_pauses=True),
    )
    chain = Fallback([gone(Capabilities()), second])
    assert chain.capabilities.wants_pauses

    async def script(linked: Linked) -> None:
        voice = tone(440, 1.0, 16000)
        await asyncio.sleep(1)
        linked.put(p.TurnStartedInput("ann", 0.0), p.AudioInput("ann", voice[:8000], 0.5))
        linked.put(p.TurnPausedInput("ann", 0.5), p.TurnResumedInput("ann"))
        linked.put(p.AudioInput("ann", voice[8000:], 0.5))
        linked.put(p.TurnEndedInput(Turn("turn-1", "ann", "mic", 0.0, 1.0)))
        await asyncio.sleep(2)

    link(chain, script)
    second.finish()
    paused, ended = second.entries[1], second.entries[3]
    assert isinstance(paused, p.TurnPausedInput)
    assert isinstance(ended, p.TurnEndedInput)
    assert paused.audio is not None
    assert ended.audio is not None
    assert (len(paused.audio), len(ended.audio)) == (8000, 16000)


def test_pauses_are_not_told_to_a_stand_in_that_does_not_ask_for_them() -> None:
    second = Scripted([Step(p.TurnStartedInput), Step(p.TurnEndedInput)])

    async def script(linked: Linked) -> None:
        await asyncio.sleep(1)
        linked.put(p.TurnStartedInput("ann", 0.0), p.TurnPausedInput("ann", 0.5))
        linked.put(p.TurnResumedInput("ann"), p.TurnEndedInput(Turn("turn-1", "ann", "mic", 0.0, 1.0)))
        await asyncio.sleep(2)

    link(Fallback([gone(Capabilities(wants_pauses=True)), second]), script)
    second.finish()


def test_an_interruption_of_what_the_failed_backend_said_only_stops_the_stand_in() -> None:
    first = Scripted(
        [Step(p.TextInput, [*reply("r1", 30.0), 1.0, REFUSED])], Capabilities(text=True, truncate=True)
    )
    second = Scripted([Step(p.InterruptInput)], Capabilities(text=True, truncate=True))

    async def script(linked: Linked) -> None:
        linked.put(p.TextInput("hello"))
        await asyncio.sleep(3)
        (begun,) = [event.reply for event in linked.events if isinstance(event, p.ReplyStarted)]
        linked.put(p.InterruptInput(Heard(begun, 2.0, "hel")))
        await asyncio.sleep(1)

    link(Fallback([first, second]), script)
    second.finish()
    assert second.entries == [p.InterruptInput(None)]
