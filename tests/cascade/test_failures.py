"""Parts of a cascade that fail: who stands in, what is lost, and when the call ends."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fishjam_agents.backends.cascade import LLMChunk
from fishjam_agents.backends.vendors import VendorEndpoint, Vendors
from fishjam_agents.backends.vendors.breaker import FAILURES
from fishjam_agents.errors import BackendError
from fishjam_agents.testing import MemoryCall
from tests.cascade.calls import asks, asks_and_stays, bot, said
from tests.cascade.components import Answers, Speaks, Understands, tone
from tests.pipeline.conftest import converse, speech

__all__ = ["converse"]
Converse = Callable[..., MemoryCall]


def test_another_part_stands_in_for_one_that_fails_which_nobody_waits_for_until_it_is_well(
    converse: Converse,
) -> None:
    first = Answers(
        [[BackendError("the model is overloaded", retryable=True)], [100.0], ["I am back. "], ["I am back. "]]
    )
    second = Answers([[0.5, "I stand in. "]])

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        for number, wait in ((1, 1.0), (2, 40.0), (3, 70.0), (4, 1.0), (5, 1.0)):
            await alice.speak(speech("alice_question.wav"))
            await call.wait_for("reply_ended", number)
            await asyncio.sleep(wait)

    call = converse(bot(Understands([["Hi."]]), [first, second], tts := Speaks()), script)
    # The third turn tries it beside the second model, which takes no longer for it; so does the fourth.
    assert tts.said == ["I stand in."] * 4 + ["I am back."]
    assert [timed.parts["llm"] for timed in call.of("reply_latency")[:4]] == pytest.approx([0.5] * 4)
    assert first.closed == ["closed", "closed", "closed", "finished"]
    assert [warning.message for warning in call.of("backend_warning")] == [
        "the language model failed (the model is overloaded): the next one stands in",
        "the language model answers again: the part that failed is used from now on",
    ]


def test_a_part_that_gives_nothing_is_not_waited_for(converse: Converse) -> None:
    slow, quick = Answers([[100.0, "Late."]]), Answers([["Here. "]])
    call = converse(bot(Understands([["Hi."]]), [slow, quick], tts := Speaks(), deadline=2.0), asks)
    assert tts.said == ["Here."]
    assert slow.closed == ["closed"]
    assert "gave nothing for 2 s" in call.of("backend_warning")[0].message


def test_a_reply_that_breaks_off_ends_with_what_there_was_and_the_next_turn_is_answered(
    converse: Converse,
) -> None:
    llm = Answers([["So far. ", BackendError("the connection was cut", retryable=True)], ["Again. "]])

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        for number in (1, 2):
            await alice.speak(speech("alice_question.wav"))
            await call.wait_for("reply_ended", number)

    call = converse(bot(Understands([["Hi."]]), llm, tts := Speaks()), script)
    assert tts.said == ["So far.", "Again."]
    (warning,) = call.of("backend_warning")
    assert warning.message == "a reply could not be given: the connection was cut"
    assert said(llm)[-2:] == [("assistant", "So far."), ("user", "Hi.")]


def test_a_part_that_only_the_user_can_mend_ends_the_call_with_its_sentence(converse: Converse) -> None:
    tts = Speaks(errors=deque([BackendError("the key is refused: check it", failure="auth")]))
    with pytest.raises(BackendError, match="the key is refused: check it"):
        converse(bot(Understands([["Hi."]]), Answers([["Hello. "]]), tts), asks_and_stays)


def test_three_replies_in_a_row_that_cannot_be_given_end_the_call(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        for number in (1, 2, 3):
            await alice.speak(speech("alice_question.wav"))
            await call.wait_for("backend_warning", number)
        await asyncio.sleep(5)

    away = BackendError("it is away: start it", retryable=True)
    with pytest.raises(
        BackendError, match="it is away: start it: given up after 3 replies in a row"
    ) as ended:
        converse(bot(Understands([["Hi."]]), Answers([[away]]), Speaks()), script)
    assert ended.value.failure == "network"


@dataclass(frozen=True, eq=False)
class Remote(Answers):
    """A model behind an account."""

    @property
    def endpoint(self) -> VendorEndpoint:
        return VendorEndpoint("Remote")


@pytest.mark.parametrize(
    "hangs", [[60.0], [BackendError("it is away", retryable=True)]], ids=["hangs", "away"]
)
def test_a_vendor_that_was_waited_for_in_vain_ends_the_call_with_the_apology(
    converse: Converse, hangs: list[LLMChunk | float | BackendError]
) -> None:
    waits: list[float] = []

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        loop = asyncio.get_running_loop()
        # Others that use the account find that it fails for all.
        account = Vendors.shared().account(VendorEndpoint("Remote"))
        for _ in range(FAILURES if isinstance(hangs[0], BackendError) else 0):
            account.lost(BackendError("it is away", retryable=True))
        await alice.speak(speech("alice_question.wav"))
        asked = loop.time()
        await call.wait_for("backend_failure")
        waits.append(loop.time() - asked)
        await asyncio.sleep(5)

    apologizes = bot(Understands([["Hi."]]), Remote([hangs]), Speaks())
    # The pauses between attempts are random, and none begins that would end too late.
    with pytest.raises(BackendError, match=r"given up after (2\d|3\d) s"):
        converse(apologizes, script)
    assert 25 < waits[0] < 45


async def _asks_again_each_few_seconds(call: MemoryCall) -> None:
    (alice,) = await call.arrive("alice")
    for _ in range(12):
        await alice.speak(speech("alice_question.wav"))
        await asyncio.sleep(4.0)


def test_a_caller_who_speaks_again_while_a_part_hangs_is_told_of_it_all_the_same(converse: Converse) -> None:
    with pytest.raises(
        BackendError, match=r"no answer came in 3\d s, over \d attempts of the caller"
    ) as ended:
        converse(bot(Understands([["Hello?"]]), Answers([[60.0]]), Speaks()), _asks_again_each_few_seconds)
    assert ended.value.failure == "network"


def test_a_caller_who_speaks_again_is_kept_while_answers_come_in_between(converse: Converse) -> None:
    llm = Answers([[60.0], [60.0], [60.0], ["Here I am. "]])
    call = converse(bot(Understands([["Hello?"]]), llm, tts := Speaks()), _asks_again_each_few_seconds)
    assert tts.said == ["Here I am."] * 3
    assert not call.of("backend_failure")


class Odd(Speaks):
    async def speak(self, text: str) -> AsyncIterator[bytes]:
        yield b"odd"
        raise ZeroDivisionError


class Arrays(Speaks):
    async def speak(self, text: str) -> AsyncIterator[bytes]:
        yield tone(0.1, 24000)  # type: ignore[misc]


class Files(Speaks):
    async def speak(self, text: str) -> AsyncIterator[bytes]:
        yield b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(400)


BUGS = [
    (
        (Understands([[ValueError("a bug")]]), Answers([["Hi. "]]), Speaks()),
        r"Understands \(speech to text\) failed \(ValueError\('a bug'\), raised at "
        r"tests/cascade/components\.py:\d+\): `log: {level: debug}` shows the traceback$",
    ),
    (
        (Understands([["Hi."]]), Answers([[5]]), Speaks()),  # type: ignore[list-item]
        "the backend Cascade failed",
    ),
    (
        (Understands([["Hi."]]), Answers([["Hi. And so on. ", 60.0]]), Odd()),
        r"Odd \(text to speech\) failed \(ZeroDivisionError\(\), raised at tests/cascade/test_failures\.py:",
    ),
    (
        (Understands([["Hi."]]), Answers([["Hi. "]]), Arrays()),
        r"Arrays \(text to speech\) gives a ndarray: yield bytes, 16-bit little-endian mono",
    ),
    (
        (Understands([["Hi."]]), Answers([["Hi. "]]), Files()),
        r"Files \(text to speech\) gives a WAV file: yield its samples alone, .* without a header",
    ),
]


@pytest.mark.parametrize("preemptive", [False, True])
@pytest.mark.parametrize(("parts", "told"), BUGS, ids=["stt", "llm", "tts", "arrays", "files"])
def test_a_bug_in_a_part_ends_the_call_and_names_the_part_and_its_line(
    converse: Converse,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    parts: tuple[Understands, Answers, Speaks],
    told: str,
    preemptive: bool,
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    with caplog.at_level(logging.DEBUG), pytest.raises(BackendError, match=told):
        converse(bot(*parts, preemptive=preemptive), asks_and_stays)
    assert "Traceback" in caplog.text or "gives a" in told
