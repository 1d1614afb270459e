"""Microphones of one loop judged together: the same frames, events and turns as each has alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import numpy as np
import pytest

from fishjam_agents.audio import vad
from fishjam_agents.audio.compiled import native, reason
from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.vad_plain import Energy
from fishjam_agents.hearing import detector_bank
from fishjam_agents.hearing.detector_bank import DetectorBank
from fishjam_agents.hearing.loudspeaker import Loudspeaker
from fishjam_agents.hearing.microphone import Deliver, Microphone
from fishjam_agents.hearing.mix_input import MixInput
from fishjam_agents.hearing.mixer import Mixer
from fishjam_agents.testing import VirtualClock
from fishjam_agents.turns.machine import TurnEnded, TurnEvent, TurnStarted
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech

NAMES = ["alice_question.wav", "bob_long.wav", "alice_yes.wav", "bob_numbers.wav", "alice_long.wav"]


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a handful of microphones wait for each other, as they do for a detector that is not compiled."""
    monkeypatch.setattr(vad, "native", None)
    monkeypatch.setattr(detector_bank, "WORTHWHILE", 3.0)
    monkeypatch.setattr(detector_bank, "FIRST_MEAN", 4.5)


class Ear:
    """A microphone and all that it delivers."""

    def __init__(self, name: str, bank: DetectorBank | None, rate: int = 16000) -> None:
        self.name = name
        self.delivered: list[tuple[float, bytes | None, tuple[TurnEvent, ...]]] = []
        self.turns: list[bytes] = []
        self.errors: list[Exception] = []
        self.order: list[str] = []
        self.hook: Callable[[], None] = lambda: None
        self.rate = rate
        self.bank = bank
        self.microphone = self.make(name, "mic", self._deliver)

    def make(self, peer: str | None, track: str, deliver: Deliver) -> Microphone:
        """A microphone that is judged with others, where there is a bank."""
        return Microphone(
            *(peer, track, AudioFormat(self.rate), TurnSettings(), [], deliver, self._stage_failed),
            bank=self.bank,
            failed=self.errors.append,
        )

    def _stage_failed(self, *_: object) -> None:
        raise AssertionError

    def _deliver(self, microphone: Microphone, frame: np.ndarray | None, events: Sequence[TurnEvent]) -> None:
        self.delivered.append((microphone.media, None if frame is None else frame.tobytes(), tuple(events)))
        self.turns += [microphone.turn_audio(e.end).tobytes() for e in events if isinstance(e, TurnEnded)]
        self.order.append(self.name)
        self.hook()


def said(number: int, rate: int = 16000) -> np.ndarray:
    random = np.random.default_rng(number)
    words = np.concatenate(
        (np.zeros(random.integers(20000)), speech(NAMES[number % len(NAMES)]), np.zeros(16000))
    )
    return np.rint(np.repeat(words, rate // 16000) + random.normal(0, 6, len(words) * rate // 16000)).astype(
        np.int16
    )


def gathering() -> DetectorBank:
    """A bank that has found out that packets come together."""
    bank = DetectorBank()
    nobody = Ear("nobody", bank)
    for number in range(100):
        nobody.microphone.feed(bytes(640), number * 0.02, False)
    return bank


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


async def end_of_turn() -> None:
    """Wait until what was put in this turn of the loop has been heard."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


@pytest.mark.parametrize("echo", [False, True], ids=["no echo guard", "echo guard"])
@pytest.mark.parametrize("rate", [16000, 48000])
def test_microphones_hear_together_what_each_hears_alone(rate: int, echo: bool) -> None:
    async def main() -> None:
        random = np.random.default_rng(rate + echo)
        bank = gathering()
        sounds = [said(number, rate) for number in range(7)]
        together = [Ear(f"ear-{number}", bank, rate) for number in range(7)]
        alone = [Ear(f"ear-{number}", None, rate) for number in range(7)]
        bot = EchoReference(16000)
        if echo:
            for ears in (together, alone):
                for number, ear in enumerate(ears):
                    if number % 2:
                        ear.microphone.loudspeakers = Loudspeaker(bot, rate)
        voice = speech("bob_long.wav").astype(np.int16)
        places = [0] * 7
        for tick in range(220):
            now = (tick + 1) * 0.02
            bot.sent(voice[tick * 320 : tick * 320 + 320], now + 0.04)
            for number in random.permutation(7):
                # Packets of any size, none now and then, several at once after a stall.
                for _ in range(random.choice([1, 1, 1, 1, 0, 3])):
                    size = int(random.choice([rate // 50, rate // 50, rate // 100, rate // 25]))
                    packet = sounds[number][places[number] : places[number] + size].tobytes()
                    places[number] += size
                    for ears in (together, alone):
                        if packet:
                            ears[number].microphone.feed(packet, now, bool(tick % 3))
            if tick == 100:
                for ears in (together, alone):
                    ears[3].microphone.change_track("other")
                    ears[4].microphone.end("left")
            await end_of_turn()
            for ears in (together, alone):
                for ear in ears:
                    ear.microphone.silence(now + 0.01)
        for one, other in zip(together, alone, strict=True):
            assert one.delivered == other.delivered
            assert one.turns == other.turns
        assert sum(isinstance(e, TurnStarted) for ear in alone for _, _, es in ear.delivered for e in es) >= 3

    run(main)


def test_frames_of_one_turn_of_the_loop_are_delivered_at_its_end_in_the_order_of_arrival() -> None:
    async def main() -> None:
        bank = gathering()
        ears = [Ear(f"ear-{number}", bank) for number in range(6)]
        order: list[str] = []
        for ear in ears:
            ear.order = order
        arrivals = [3, 1, 5, 0, 4, 2]
        for number in arrivals:
            ears[number].microphone.feed(bytes(640), 0.02, False)
        # Whatever runs in the next turn of the loop finds them delivered.
        asyncio.get_running_loop().call_soon(order.append, "next turn")
        assert order == []
        await end_of_turn()
        assert order == [*(f"ear-{number}" for number in arrivals), "next turn"]

    run(main)


def test_a_microphone_that_is_alone_waits_for_nobody() -> None:
    async def main() -> None:
        ear = Ear("ear", DetectorBank())
        for number in range(50):
            ear.microphone.feed(bytes(640), number * 0.02, False)
            assert len(ear.delivered) == number + 1
        waited = 0
        for number in range(50, 400):
            ear.microphone.feed(bytes(640), number * 0.02, False)
            waited += len(ear.delivered) == number
            await end_of_turn()
            assert len(ear.delivered) == number + 1
        # Now and then it is tried whether others have come.
        assert waited < 20

    run(main)


def test_in_virtual_time_every_frame_is_judged_as_it_comes() -> None:
    async def main() -> None:
        ears = [Ear(f"ear-{number}", DetectorBank.shared()) for number in range(30)]
        for number in range(50):
            for ear in ears:
                ear.microphone.feed(bytes(640), number * 0.02, False)
                assert len(ear.delivered) == number + 1
            await asyncio.sleep(0.02)

    VirtualClock().run(main())


def test_a_loop_has_one_bank_and_two_loops_have_two() -> None:
    async def shared() -> DetectorBank:
        assert DetectorBank.shared() is DetectorBank.shared()
        return DetectorBank.shared()

    assert asyncio.run(shared()) is not asyncio.run(shared())


def test_one_call_that_fails_takes_no_other_with_it() -> None:
    async def main() -> None:
        bank = gathering()
        ears = [Ear(f"ear-{number}", bank) for number in range(6)]
        failure = ValueError("a policy of the user's")

        def fail() -> None:
            raise failure

        ears[2].hook = fail
        for ear in ears:
            ear.microphone.feed(bytes(640), 0.02, False)
            ear.microphone.feed(bytes(640), 0.04, False)
        await end_of_turn()
        assert [ear.errors for ear in ears] == [[], [], [failure], [], [], []]
        assert [len(ear.delivered) for ear in ears] == [2, 2, 1, 2, 2, 2]

    run(main)


def test_a_detector_that_fails_ends_its_own_call() -> None:
    async def main() -> None:
        bank = gathering()
        ears = [Ear(f"ear-{number}", bank) for number in range(6)]
        failure = RuntimeError("a detector of the user's")

        class Broken(Energy):
            def score(self, frame: np.ndarray, level: float) -> float:
                raise failure

        ears[1].microphone.detection.detector = Broken()
        ears[3].microphone.detection.detector = Energy()
        for ear in ears:
            ear.microphone.feed(bytes(640), 0.02, False)
        await end_of_turn()
        assert [ear.errors for ear in ears] == [[], [failure], [], [], [], []]
        assert [len(ear.delivered) for ear in ears] == [1, 0, 1, 1, 1, 1]

    run(main)


def test_what_ends_while_its_frame_is_judged_hears_no_more() -> None:
    async def main() -> None:
        bank = gathering()
        ears = [Ear(f"ear-{number}", bank) for number in range(6)]
        ears[0].hook = lambda: ears[4].microphone.end("app")
        for ear in ears:
            ear.microphone.feed(bytes(640), 0.02, False)
            ear.microphone.feed(bytes(640), 0.04, False)
        await end_of_turn()
        assert [len(ear.delivered) for ear in ears] == [2, 2, 2, 2, 0, 2]
        # It hears again when something comes again.
        ears[4].microphone.feed(bytes(640), 0.06, False)
        await end_of_turn()
        assert len(ears[4].delivered) == 1

    run(main)


def test_what_had_come_when_a_microphone_ended_was_heard() -> None:
    async def main() -> None:
        bank = gathering()
        ears = [Ear(f"ear-{number}", bank) for number in range(6)]
        for ear in ears:
            ear.microphone.feed(bytes(640), 0.02, False)
        ears[4].microphone.end("left")
        assert [len(ear.delivered) for ear in ears] == [1] * 6

    run(main)


def test_a_microphone_that_settles_ends_no_turn_of_the_loop_twice() -> None:
    async def main() -> None:
        bank = gathering()
        ears = [Ear(f"ear-{number}", bank) for number in range(8)]
        for tick in range(60):
            for number, ear in enumerate(ears):
                ear.microphone.feed(bytes(640), tick * 0.02, False)
                if number % 4 == 0:
                    ear.microphone.settle()
            # Eight packets a turn: what came is still waited for, and heard at its end.
            assert len(ears[0].delivered) == tick + 1
            assert len(ears[-1].delivered) == tick
            await end_of_turn()
            assert len(ears[-1].delivered) == tick + 1

    run(main)


def test_a_microphone_with_a_bank_needs_to_be_told_of_failures() -> None:
    with pytest.raises(ValueError, match="pass failed"):
        Microphone(
            *("alice", "mic", AudioFormat(16000), TurnSettings(), [], lambda *_: None, lambda *_: None),
            bank=DetectorBank(),
        )


def test_mixes_of_several_rooms_are_judged_together_and_hear_what_each_hears_alone() -> None:
    async def main() -> None:
        bank = gathering()
        rooms: dict[bool, list[tuple[Ear, Mixer, MixInput]]] = {True: [], False: []}
        for together, made in rooms.items():
            for number in range(6):
                ear = Ear(f"ear-{number}", bank if together else None)
                mixer = Mixer(AudioFormat(16000), ear.make, ear._deliver)
                made.append((ear, mixer, mixer.add("alice", "mic")))
        sounds = [said(number) for number in range(6)]
        waited = 0
        for tick in range(150):
            now = (tick + 1) * 0.02
            for together, made in rooms.items():
                for (ear, mixer, voice), sound in zip(made, sounds, strict=True):
                    before = len(ear.delivered)
                    voice.feed(sound[tick * 320 : tick * 320 + 320].tobytes(), now, False)
                    mixer.tick(now, False)
                    waited += together and tick > 50 and len(ear.delivered) == before
            await end_of_turn()
        for (one, *_), (other, *_) in zip(rooms[True], rooms[False], strict=True):
            assert one.delivered == other.delivered
        # A mix waits for the others, save where it is a frame behind.
        assert waited > 500

    run(main)


@pytest.mark.skipif(native is None, reason=f"not compiled: {reason}")
def test_what_is_compiled_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vad, "native", native)

    async def main() -> None:
        bank = gathering()
        ears = [Ear(f"ear-{number}", bank) for number in range(6)]
        for number, ear in enumerate(ears):
            ear.microphone.feed(said(number)[:320].tobytes(), 0.02, False)
            assert len(ear.delivered) == 1

    run(main)
