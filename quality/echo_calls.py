"""Calls in which the bot hears itself: alone, and with a caller who speaks over it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np

from audio_fixtures.corpus import LEVEL, RATE, Utterance, phrases, sentences
from fishjam_agents.audio.samples import Samples
from fishjam_agents.testing import MemoryPeer, VirtualClock
from quality.bench import Bench
from quality.conversation import Call
from quality.echo_room import EchoPath, EchoRoom
from quality.score import LATE
from quality.sounds import Rng, at_level, pink, to_samples

BOT_LEVEL = -20.0
"""Level of the bot's voice, dBFS."""
_NOISE_LEVEL = -65.0
_LEAD_IN = 1.5
"""Seconds that a reply sounds before somebody speaks over it."""


@dataclass(slots=True)
class EchoOutcome:
    """Counts over some calls.

    Attributes:
        replying: Seconds of reply under way, while only the bot speaks.
        suspected: False suspicions in them.
        confirmed: False confirmations in them.
        interruptions: Spoken over a reply.
        caught: Of these, those that were confirmed.
        delays: From their onset to that, seconds.
    """

    replying: float = 0.0
    suspected: int = 0
    confirmed: int = 0
    interruptions: int = 0
    caught: int = 0
    delays: list[float] = field(default_factory=list)


def _voice(bench: Bench, rng: Rng, seconds: float) -> Samples:
    """Return the bot's speech: sentences with short pauses."""
    pieces: list[Samples] = []
    spoken = sentences(bench.seed + 104729, 12)
    for index in cycle(rng.permutation(len(spoken))):
        wave = spoken[index].samples * np.float32(10 ** ((BOT_LEVEL - LEVEL) / 20))
        pieces += [to_samples(wave), np.zeros(round(rng.uniform(0.1, 0.4) * RATE), np.int16)]
        if sum(map(len, pieces)) > seconds * RATE:
            break
    return np.concatenate(pieces)


def _room(path: EchoPath, rng: Rng, seconds: float, loss: float) -> EchoRoom:
    return EchoRoom(path, at_level(pink(rng, 10.0), _NOISE_LEVEL), seconds, loss=loss)


async def _keep_talking(call: Call, voice: Samples) -> None:
    """Say it, and say it again whenever it is over or was cut."""
    while True:
        if not call.occupied:
            call.bot.play(voice, RATE)
        await asyncio.sleep(0.5)


def alone(bench: Bench, rng: Rng, path: EchoPath, outcome: EchoOutcome, loss: float = 0.0) -> None:
    """Let the bot talk, and nobody else.

    Args:
        bench: Chooses the ears.
        rng: Chooses what it says.
        path: From its track to the microphone.
        outcome: Takes what it took for an interruption.
        loss: Share of the caller's packets that never arrive.
    """
    seconds = bench.amount(40, 8)
    voice = _voice(bench, rng, seconds)

    async def scene() -> tuple[Call, float]:
        async with _room(path, rng, seconds + 5, loss) as room:
            call = Call(bench, room)
            async with call.running():
                room.join("caller")
                talking = asyncio.create_task(_keep_talking(call, voice))
                await asyncio.sleep(seconds)
                talking.cancel()
                return call, room.now

    call, until = VirtualClock().run(scene())
    outcome.replying += _replying_seconds(call, until)
    outcome.suspected += len(call.of("barge_in_suspected"))
    outcome.confirmed += len(call.of("barge_in_confirmed"))


def _replying_seconds(call: Call, until: float) -> float:
    total = 0.0
    for started in call.of("reply_first_audio"):
        over = (*call.of("reply_ended"), *call.of("reply_interrupted"))
        ends = [event.at for event in over if event.reply == started.reply]
        total += (ends[0] if ends else until) - started.at
    return total


def interrupted(
    bench: Bench, rng: Rng, path: EchoPath, level: float, outcome: EchoOutcome, loss: float = 0.0
) -> None:
    """Let a caller speak over the bot, again and again.

    Args:
        bench: Chooses the ears.
        rng: Chooses what is said.
        path: From the bot's track to the microphone.
        level: Of the caller, dBFS.
        outcome: Takes which interruptions were noticed, and when.
        loss: Share of the caller's packets that never arrive.
    """
    spoken = [utterance for utterance in phrases(bench.seed, 36) if utterance.seconds >= 0.6]
    some = [spoken[index] for index in rng.permutation(len(spoken))[: bench.amount(6, 2)]]
    seconds = 8.0 * len(some)
    voice = _voice(bench, rng, seconds)
    spans: list[tuple[float, float]] = []

    async def interrupt(call: Call, caller: MemoryPeer, utterance: Utterance) -> None:
        for _ in range(100):
            if call.replying:
                break
            await asyncio.sleep(_LEAD_IN / 25)
        await asyncio.sleep(_LEAD_IN)
        begin = call.tick + utterance.start / RATE
        if call.replying:
            spans.append((begin, begin + utterance.seconds))
        else:
            outcome.interruptions += 1
        await caller.speak(to_samples(utterance.samples * np.float32(10 ** ((level - LEVEL) / 20))))
        await asyncio.sleep(1.5)

    async def scene() -> Call:
        async with _room(path, rng, seconds + 30, loss) as room:
            call = Call(bench, room)
            async with call.running():
                caller = room.join("caller")
                talking = asyncio.create_task(_keep_talking(call, voice))
                for utterance in some:
                    await interrupt(call, caller, utterance)
                talking.cancel()
            return call

    call = VirtualClock().run(scene())
    confirmed = call.of("barge_in_confirmed")
    for begin, end in spans:
        outcome.interruptions += 1
        mine = [e.at for e in confirmed if e.media_at >= begin - 0.1 and begin < e.at <= end + LATE]
        if mine:
            outcome.caught += 1
            outcome.delays.append(mine[0] - begin)
