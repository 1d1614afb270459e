"""Text that the bot adds to a turn before the model answers: in time, late, and where nobody can add any."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from fishjam_agents.backends import Parrot, port
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.events import Turn
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from fishjam_agents.turns.settings import TurnSettings
from tests.cascade.calls import asks, bot, said
from tests.cascade.components import Answers, Speaks, Understands
from tests.pipeline.conftest import speech, tone

Converse = Callable[..., MemoryCall]


class Knows(AgentPipeline):
    takes = 0.0
    gives: object = "Order 7 is on its way."

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Turn] = []

    async def enrich(self, turn: Turn) -> str | None:
        self.asked.append(turn)
        await asyncio.sleep(self.takes)
        return self.gives  # type: ignore[return-value]


def cascade(**settings: object) -> tuple[Knows, Answers]:
    llm = Answers([["It is on its way. "]])
    knows = bot(Understands([["Where is order seven?"]]), llm, Speaks(), kind=Knows)
    assert isinstance(knows, Knows)
    for name, value in settings.items():
        setattr(knows, name, value)
    return knows, llm


def test_a_cascade_is_told_it_with_the_words_that_it_is_about(converse: Converse) -> None:
    knows, llm = cascade(takes=0.2)
    call = converse(knows, asks)
    (turn,) = knows.asked
    assert (turn.text, turn.peer) == ("Where is order seven?", call.of("user_turn_ended")[0].peer)
    assert said(llm)[-1] == ("user", "[Order 7 is on its way.] Where is order seven?")
    (told,) = call.of("turn_enriched")
    assert (told.turn, told.outcome, told.characters) == (turn.id, "ok", 22)
    assert told.duration == pytest.approx(0.2, abs=0.01)


def test_what_comes_too_late_is_dropped_and_told_with_the_line_of_the_hook(
    converse: Converse, caplog: pytest.LogCaptureFixture
) -> None:
    knows, llm = cascade(takes=5.0, turns=TurnSettings(enrich_within=0.1))
    with caplog.at_level(logging.WARNING):
        call = converse(knows, asks)
    assert said(llm)[-1] == ("user", "Where is order seven?")
    (told,) = call.of("turn_enriched")
    assert (told.outcome, told.characters) == ("late", 0)
    (warning,) = [line for line in caplog.messages if line.startswith("The hook enrich")]
    assert "test_enrich.py" in warning
    assert "took longer than turns.enrich_within (0.1 s)" in warning


@pytest.mark.parametrize("gives", [7, None, "  "])
def test_what_is_no_text_adds_nothing(converse: Converse, gives: object) -> None:
    knows, llm = cascade(gives=gives)
    call = converse(knows, asks)
    assert said(llm)[-1] == ("user", "Where is order seven?")
    assert [told.outcome for told in call.of("turn_enriched")] == ["failed" if gives == 7 else "ok"]
    assert [error.where for error in call.of("error")] == (["enrich"] if gives == 7 else [])


def test_a_hook_that_raises_costs_nobody_an_answer(converse: Converse) -> None:
    class Broken(Knows):
        async def enrich(self, turn: Turn) -> str | None:
            raise RuntimeError("the CRM is away")

    llm = Answers([["Fine. "]])
    call = converse(bot(Understands([["Hi."]]), llm, Speaks(), kind=Broken), asks)
    (error,) = call.of("error")
    assert (error.where, "the CRM is away" in error.message) == ("enrich", True)
    assert [told.outcome for told in call.of("turn_enriched")] == ["failed"]
    assert call.of("reply_ended")


def test_another_model_is_told_it_before_the_turn_ends_and_nothing_overtakes(converse: Converse) -> None:
    answer = [port.ReplyStarted("r1"), port.ReplyAudio("r1", tone(0.5)), port.ReplyAudioEnded("r1")]
    model = Scripted(
        [
            Step(port.TurnStartedInput),
            Step(port.TextInput),
            Step(port.TurnEndedInput),
            Step(port.TurnStartedInput),
            Step(port.TextInput),
            Step(port.TurnEndedInput, answer),
        ],
        port.Capabilities(text=True),
    )
    knows = Knows()
    knows.backend, knows.takes = model, 0.5
    knows.turns = TurnSettings(enrich_within=1.0)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("user_turn_ended")
        # Somebody goes on while the text is still looked for.
        await alice.speak(speech("bob_question.wav"))
        await call.wait_for("reply_ended")

    converse(knows, script)
    model.finish()
    notes = [item for item in model.entries if isinstance(item, port.TextInput)]
    assert notes == [port.TextInput("[Order 7 is on its way.]", note=True)] * 2
    assert [turn.text for turn in knows.asked] == ["", ""]


@pytest.mark.parametrize(
    ("backend", "mode", "sentence"),
    [
        (Parrot(), "local", "Knows.enrich adds text to turns, but Parrot takes no text"),
        (
            Scripted(offers=port.Capabilities(text=True, own_turn_detection=True)),
            "backend",
            "Knows.enrich adds text to turns, but turns.mode is 'backend', where the model answers before",
        ),
    ],
)
def test_where_nothing_can_be_added_is_one_sentence(backend: port.Backend, mode: str, sentence: str) -> None:
    knows = Knows()
    knows.backend, knows.turns = backend, TurnSettings(mode=mode)  # type: ignore[arg-type]
    with pytest.raises(FishjamAgentsError, match=sentence):
        knows.verify()


def test_a_hook_that_is_no_coroutine_is_one_sentence() -> None:
    class Plain(Knows):
        def enrich(self, turn: Turn) -> str:  # type: ignore[override]
            return ""

    plain = Plain()
    plain.backend = cascade()[0].backend
    with pytest.raises(
        FishjamAgentsError, match=r"Plain\.enrich must be a coroutine: write `async def enrich`"
    ):
        plain.verify()
